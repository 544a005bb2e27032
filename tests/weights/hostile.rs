//! Weights files made to do harm: always an error in words, never a call, a panic or an endless
//! loop, never more memory than the file and 64 MiB beside it.

use gradcam::weights::{
    ContentsError, NpyError, NumpyError, PickleError, SafetensorsError, TensorError,
};

use crate::common::handmade::{
    ARRAY, array, doubling_lists, dtype, fixture, npy, npy_of, open, pickle_error, safetensors_of,
};

fn numpy_error(bytes: Vec<u8>) -> NumpyError {
    match open(bytes) {
        Err(ContentsError::Npy(NpyError::Numpy(error))) => error,
        other => panic!("{other:?}"),
    }
}

// Attacks on the pickle

#[test]
fn a_pickle_that_calls_a_function_is_refused_by_the_functions_name() {
    let calls: [(&[u8], &str); 4] = [
        (b"\x80\x02cos\nsystem\nU\x04true\x85R.", "os.system"),
        (b"\x80\x02cposix\nsystem\nU\x04true\x85R.", "posix.system"),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
            "builtins.eval",
        ),
        (b"\x80\x02cos\nsystem\x1b[2J\n.", "os.system\\u{1b}[2J"),
    ];
    for (pickle, name) in calls {
        let error = pickle_error(npy("()", pickle));
        assert_eq!(
            error,
            PickleError::Refused {
                name: name.to_owned()
            }
        );
        assert!(
            error
                .to_string()
                .contains(&format!("the pickle calls {name}: refused")),
            "{error}"
        );
    }
    let inside = npy_of(b"cos\nsystem\nU\x04true\x85R");
    assert!(matches!(pickle_error(inside), PickleError::Refused { .. }));
}

#[test]
fn objects_beside_arrays_are_passed_over_and_named() {
    let weights = array(b"K\x01\x85", b"C\x04\0\0\x80?");
    let objects: [(&[u8], &str); 9] = [
        (
            b"cmy\x1bown\nConfig\n)\x81}X\x01\0\0\0aK\x01sb",
            ": my\\u{1b}own.Config",
        ),
        (b"cmy\nmake\n)R", ": my.make"),
        (b"cmy\nNew\n)}\x92", ": my.New"),
        (b"(imy\nOld\n", ": my.Old"),
        (b"(cmy\nOlder\nK\x01o", ": my.Older"),
        (b"\x82\x07)R", ": extension code 7"),
        (b"\x84\x07\x01\0\0)R", ": extension code 263"),
        (b"cmy\nList\n)\x81(K\x01K\x02e", ": my.List"),
        (
            b"c__builtin__\ngetattr\ncmy\nBound\nX\x01\0\0\0a\x86R)R",
            ": my.Bound",
        ),
    ];
    for (object, named) in objects {
        let both = [
            b"}X\x01\0\0\0w".as_slice(),
            &weights,
            b"sX\x01\0\0\0o",
            object,
            b"s",
        ]
        .concat();
        let read = open(npy_of(&both)).unwrap();
        assert_eq!(read.tensors["w"].to_vec(), [1.0]);
        let [note] = &read.notes[..] else {
            panic!("{:?}", read.notes);
        };
        assert!(note.ends_with(named), "{note}");
    }
    // Plain data need no note, in any opcode that Python has for them.
    for plain in [
        &b"cdatetime\ndate\nC\x04\x07\xe8\x01\x02\x85R"[..],
        b"\x8f(K\x01K\x02\x90",
        b"(K\x01\x91",
        b"F0.5\n",
        b"L12345678901234567890123L\n",
        b"S'text'\n",
        b"Vte\\u0078t\n",
        b"\x8b\x09\0\0\0\0\0\0\0\0\0\0\0\x01",
        b"Np7\ng7\n0",
    ] {
        let both = [
            b"}X\x01\0\0\0w".as_slice(),
            &weights,
            b"sX\x01\0\0\0o",
            plain,
            b"s",
        ]
        .concat();
        let read = open(npy_of(&both)).unwrap();
        assert_eq!((read.tensors.len(), read.notes.len()), (1, 0), "{plain:?}");
    }
}

#[test]
fn opcodes_that_weights_do_not_need_are_refused() {
    // Persistent ids, out-of-band buffers
    for opcode in [b'P', b'Q', 0x97, 0x98, 0] {
        let error = pickle_error(npy("()", &[0x80, 2, opcode]));
        assert!(
            matches!(error, PickleError::Opcode { opcode: o, .. } if o == opcode),
            "{error}"
        );
    }
    assert_eq!(
        pickle_error(npy("()", b"\x80\x06.")),
        PickleError::Protocol(6)
    );
}

#[test]
fn opcodes_without_their_arguments_are_damage() {
    let damaged: [&[u8]; 15] = [
        b".",
        b"0",
        b"1",
        b"a",
        b"}a",
        b"]NNs",
        b"(Nd",
        b"NNb",
        b"NNR",
        b"N)\x81",
        b"(.",
        b"N(0",
        b"h\x01",
        b"q\x00",
        b"cnumpy\nndarray\nNR",
    ];
    for opcodes in damaged {
        let pickle = [b"\x80\x02", opcodes].concat();
        let error = pickle_error(npy("()", &pickle));
        assert!(
            matches!(error, PickleError::Damaged { .. }),
            "{opcodes:?}: {error}"
        );
    }
}

#[test]
fn deep_nesting_needs_no_stack_to_read_or_to_drop() {
    let n = 250_000;
    let lists = [vec![b']'; n], vec![b'a'; n - 1]].concat();
    assert_eq!(numpy_error(npy_of(&lists)), NumpyError::TooDeep);
    let tuples = [vec![b')'], vec![0x85_u8; 500_000]].concat();
    assert_eq!(numpy_error(npy_of(&tuples)), NumpyError::TooDeep);
    let marks = vec![b'('; 500_000];
    assert!(matches!(
        pickle_error(npy_of(&marks)),
        PickleError::Damaged { .. }
    ));
    let million = vec![b'('; 1_000_000];
    assert_eq!(
        pickle_error(npy_of(&million)),
        PickleError::TooLong(1 << 19)
    );
    let marked_lists = [vec![b'('; n], vec![b'l'; n]].concat();
    assert_eq!(numpy_error(npy_of(&marked_lists)), NumpyError::TooDeep);
}

#[test]
fn a_pickle_without_end_is_given_up_within_the_memory_promised() {
    for opcodes in [
        &b"N"[..],
        b"]",
        b"}",
        b")\x85",
        b"N\x94",
        b"(",
        b"h\x00",
        b"h\x00a",
        b"2",
        b"K\x00K\x00s",
    ] {
        let mut object = b"]q\x00".to_vec();
        if opcodes.ends_with(b"s") {
            object = b"}".to_vec();
        }
        while object.len() < 4 << 20 {
            object.extend(opcodes);
        }
        assert_eq!(
            pickle_error(npy_of(&object)),
            PickleError::TooLong(1 << 19),
            "{opcodes:?}"
        );
    }
}

#[test]
fn lists_do_not_keep_the_room_of_a_stack_that_was_once_large() {
    let mut pickle = b"\x80\x02(".to_vec();
    pickle.extend(vec![b'N'; 100_000]);
    pickle.push(b'1');
    pickle.extend(b"(l0".repeat(100_000));
    pickle.extend(b"N.");
    assert!(matches!(
        numpy_error(npy("()", &pickle)),
        NumpyError::Damaged { .. }
    ));
}

#[test]
fn values_that_hold_themselves_end_as_too_deep() {
    assert_eq!(numpy_error(npy_of(b"]q\x00h\x00a")), NumpyError::TooDeep);
    assert_eq!(
        numpy_error(npy_of(b"}q\x00U\x01kh\x00s")),
        NumpyError::TooDeep
    );
    assert_eq!(
        numpy_error(npy_of(b"ccollections\nOrderedDict\n)Rq\x00U\x01kh\x00s")),
        NumpyError::TooDeep
    );
    // An array whose shape, type and contents are itself
    let array = [ARRAY, b"q\x00(K\x01h\x00h\x00h\x00h\x00tb"].concat();
    assert!(matches!(
        numpy_error(npy_of(&array)),
        NumpyError::Damaged { .. }
    ));
}

#[test]
fn lists_that_double_with_every_level_are_given_up() {
    assert_eq!(numpy_error(npy_of(&doubling_lists())), NumpyError::TooMany);
}

#[test]
fn one_array_under_very_many_names_is_given_up() {
    let mut object = array(b"K\x01\x85", b"U\x04\0\0\0\0");
    object.extend(b"q\x000](");
    for _ in 0..20_000 {
        object.extend(b"h\x00");
    }
    object.push(b'e');
    assert_eq!(numpy_error(npy_of(&object)), NumpyError::TooMany);
}

// Attacks on shapes and names

#[test]
fn a_million_million_elements_are_refused_wherever_they_are_announced() {
    // In the header
    let whole = fixture("tiny-p4.npy");
    let start = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
    let error = numpy_error(npy("(1000000000000,)", &whole[start..]));
    assert_eq!(
        error,
        NumpyError::HeaderShape {
            header: vec![1_000_000_000_000],
            found: vec![]
        }
    );
    // In an array of numbers
    let tera = b"\x8a\x06\x00\x10\xa5\xd4\xe8\x00\x85";
    let error = numpy_error(npy_of(&array(tera, b"U\x04\0\0\0\0")));
    let NumpyError::Tensor {
        error: TensorError::Length {
            needed, found: 4, ..
        },
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(needed, 4_000_000_000_000);
    // So many that their number overflows
    let overflow = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x04\x86";
    let error = numpy_error(npy_of(&array(overflow, b"U\x04\0\0\0\0")));
    assert!(
        matches!(
            error,
            NumpyError::Tensor {
                error: TensorError::TooLarge { .. },
                ..
            }
        ),
        "{error}"
    );
    // In a plain array, in the data of a pickle, and in safetensors
    let mut plain = npy("(1000000000000,)", b"");
    let at = plain.windows(2).position(|pair| pair == b"|O").unwrap();
    plain[at..at + 2].copy_from_slice(b"f4");
    assert!(matches!(
        open(plain),
        Err(ContentsError::Npy(NpyError::PlainArray { .. }))
    ));
    let error = pickle_error(npy_of(b"\x8e\x00\x10\xa5\xd4\xe8\x00\x00\x00"));
    assert!(matches!(error, PickleError::Truncated { missing } if missing > 999_999_999_000));
    let header =
        r#"{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"#;
    let error = open(safetensors_of(header, 16)).unwrap_err();
    assert!(
        matches!(
            error,
            ContentsError::Safetensors(SafetensorsError::Truncated { .. })
        ),
        "{error}"
    );
}

#[test]
fn shapes_that_are_not_shapes_are_refused() {
    for shape in [
        &b"N"[..],
        b"K\x01",
        b"N\x85",
        b"J\xff\xff\xff\xff\x85",
        b"U\x011\x85",
    ] {
        let error = numpy_error(npy_of(&array(shape, b"U\x04\0\0\0\0")));
        assert!(
            matches!(
                error,
                NumpyError::Damaged {
                    part: "a shape",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn an_array_shorter_or_longer_than_its_shape_is_named() {
    for data in [&b"U\x03\0\0\0"[..], b"U\x05\0\0\0\0\0", b"U\x00"] {
        let object = [b"}U\x07conv1_1", &array(b"K\x01\x85", data)[..], b"s"].concat();
        let error = numpy_error(npy_of(&object));
        assert!(
            error
                .to_string()
                .starts_with("\"conv1_1\": a shape of [1] in float32 takes 4 bytes"),
            "{error}"
        );
    }
}

#[test]
fn two_arrays_of_one_name_are_refused() {
    let element = array(b"K\x01\x85", b"U\x04\0\0\0\0");
    let object = [b"}U\x011", &element[..], b"sK\x01", &element, b"s"].concat();
    assert_eq!(
        numpy_error(npy_of(&object)),
        NumpyError::Duplicate {
            name: "1".to_owned()
        }
    );
}

#[test]
fn keys_that_are_not_names_are_refused() {
    let long = [b"X\x01\x02\x00\x00", &[b'x'; 513][..]].concat();
    for key in [&b"N"[..], b")", b"G\0\0\0\0\0\0\0\0", b"U\x01\xff", &long] {
        let object = [b"}", key, b"Ns"].concat();
        assert!(
            matches!(numpy_error(npy_of(&object)), NumpyError::Key { .. }),
            "{key:?}"
        );
    }
}

#[test]
fn a_dictionary_without_arrays_of_floats_says_what_it_holds() {
    let error = open(npy_of(b"}U\x05epochK\x03s")).unwrap_err().to_string();
    assert_eq!(error, "holds no tensor of floats");
    let integers = [ARRAY, b"(K\x01K\x02\x85", &dtype("i8"), b"\x89U\x00tb"].concat();
    let error = open(npy_of(&[b"}U\x01w", &integers[..], b"s"].concat()))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "holds no tensor of floats, only other types: \"w\" is i8"
    );
}

// Attacks on safetensors

#[test]
fn safetensors_with_overlaps_holes_or_endless_headers_are_refused() {
    let tensor = |name: &str, from: usize, to: usize| {
        format!(
            r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{from},{to}]}}"#,
            (to - from) / 4
        )
    };
    for (second, third) in [((0, 8), (4, 12)), ((0, 8), (0, 8)), ((0, 4), (8, 12))] {
        let header = format!(
            "{{{},{}}}",
            tensor("a", second.0, second.1),
            tensor("b", third.0, third.1)
        );
        let error = open(safetensors_of(&header, 12)).unwrap_err();
        assert!(
            matches!(
                error,
                ContentsError::Safetensors(SafetensorsError::Format(_))
            ),
            "{error}"
        );
    }
    let mut endless = vec![0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0];
    endless.extend(b"{\"a\":");
    let error = open(endless).unwrap_err();
    assert!(
        matches!(
            error,
            ContentsError::Safetensors(SafetensorsError::Header(0x7fff_ffff))
        ),
        "{error}"
    );
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    let error = open(safetensors_of(&deep, 0)).unwrap_err();
    assert!(
        matches!(
            error,
            ContentsError::Safetensors(SafetensorsError::Format(_))
        ),
        "{error}"
    );
    for item in ["0,", "{},", "[],", "\"\","] {
        let wide = format!("{{\"a\":[{}0]}}", item.repeat((2 << 20) / item.len() - 8));
        open(safetensors_of(&wide, 0)).unwrap_err();
    }
}
