//! Frames in whatever parts they arrive.

use crate::call::Call;
use crate::{Decoder, encode, frame};

#[test]
fn a_frame_reads_back_byte_by_byte() {
    let bytes = encode(&Call::SubmitOrder {}, b"envelope").unwrap();
    let mut decoder = Decoder::default();
    for (index, byte) in bytes.iter().enumerate() {
        assert!(decoder.frame().unwrap().is_none(), "after {index} bytes");
        decoder.push(&[*byte]);
    }
    let frame = decoder.frame().unwrap().unwrap();
    assert_eq!(frame.message::<Call>().unwrap(), Call::SubmitOrder {});
    assert_eq!(frame.attachment, b"envelope");
    assert!(decoder.is_empty());
    assert_eq!(frame::read(&mut bytes.as_slice()).unwrap(), Some(frame));
}
