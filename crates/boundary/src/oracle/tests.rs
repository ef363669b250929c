//! Frames typed by hand, one a rule of the model.
