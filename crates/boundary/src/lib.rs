//! Filter sets as people write them: rules, files, directory, narrowing, explanations, the packet oracle.
#![forbid(unsafe_code)]
