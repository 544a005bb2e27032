//! PyTorch files made to do harm: always an error in words, never a call, a panic or an endless loop,
//! never more memory than the file and 64 MiB beside it.

use gradcam::weights::{
    ContentsError, PickleError, StateDictError, TensorError, TorchError, ZipError,
};

#[allow(dead_code, reason = "every test program uses a part")]
mod common {
    pub(crate) mod handmade;
    pub(crate) mod memory;
    pub(crate) mod torch_writer;
    pub(crate) mod zip_writer;
}
use common::handmade::{doubling_lists, open};
use common::torch_writer::{PAIR, View, archive, dict, legacy, members, text};
use common::zip_writer::{Member, zip};

fn torch_error(bytes: Vec<u8>) -> TorchError {
    match open(bytes) {
        Err(ContentsError::Torch(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn state_dict_error(object: &[u8]) -> StateDictError {
    match torch_error(archive(object, &[("0", &[0; 8])])) {
        TorchError::StateDict(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_checkpoint_that_calls_a_function_is_refused_by_the_functions_name() {
    for (call, name) in [
        ("cos\nsystem\n", "os.system"),
        ("cbuiltins\neval\n", "builtins.eval"),
        ("ctorch\nload\n", "torch.load"),
        (
            "ctorch._utils\n_rebuild_qtensor\n",
            "torch._utils._rebuild_qtensor",
        ),
    ] {
        let object = dict("w", &[call.as_bytes(), b"(tR"].concat());
        for file in [archive(&object, &[]), legacy(&object, &[])] {
            let name = name.to_owned();
            let expected = TorchError::Pickle(PickleError::Refused { name });
            assert_eq!(torch_error(file), expected);
        }
    }
    let object = b"csubprocess\nPopen\n(tR";
    let class = "subprocess.Popen".to_owned();
    let error = torch_error(archive(object, &[]));
    assert_eq!(error, TorchError::Class { class });
    // Nor in the pickles around it
    let mut file = legacy(b"}", &[]);
    let at = file.len() - 2;
    file.splice(at..at, *b"cos\nsystem\n");
    assert!(matches!(torch_error(file), TorchError::Pickle(_)));
}

#[test]
fn storages_that_are_not_there_or_not_as_announced_are_told() {
    let with = |view: View<'_>| state_dict_error(&dict("w", &view.tensor()));
    let missing = with(View { key: "1", ..PAIR });
    assert!(matches!(missing, StateDictError::Storage { .. }));
    for len in [0, 1, 3, -1, 1 << 62, i64::MAX] {
        let error = with(View { len, ..PAIR });
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
    for id in [
        &b")Q"[..],
        b"(NNNNNtQ",
        b"(NNNNNNNtQ",
        b"(X\x07\0\0\0storageNX\x01\0\0\x000NK\x02tQ",
        b"N",
    ] {
        let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n(", id, b"K\0))\x89}tR"].concat();
        let error = state_dict_error(&dict("w", &tensor));
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
    for id in [&b"NQ"[..], b"(Q", b"]Q"] {
        let error = torch_error(archive(id, &[]));
        assert!(
            matches!(error, TorchError::Pickle(PickleError::Damaged { .. })),
            "{error}"
        );
    }
}

#[test]
fn views_that_reach_beyond_their_data_are_refused() {
    let views = [
        (0, &[3][..], &[1][..]),
        (1, &[2], &[1]),
        (2, &[1], &[1]),
        (0, &[2], &[2]),
        (0, &[1 << 40], &[0]),
        (0, &[3], &[0]),
        (0, &[i64::MAX, i64::MAX], &[0, 0]),
        (0, &[2], &[i64::MAX]),
        (i64::MAX, &[2], &[i64::MAX]),
        (0, &[2, 1 << 62, 4, 0], &[1, 1, 1, 1]),
        (i64::MAX, &[], &[]),
    ];
    for (offset, shape, strides) in views {
        let view = View {
            offset,
            shape,
            strides,
            ..PAIR
        };
        let error = state_dict_error(&dict("w", &view.tensor()));
        let StateDictError::Tensor { error, .. } = error else {
            panic!("{shape:?}: {error}");
        };
        assert!(matches!(error, TensorError::View { .. }), "{shape:?}");
    }
    for (offset, shape, strides) in [
        (-1, &[1][..], &[1][..]),
        (0, &[-1], &[1]),
        (0, &[1], &[-1]),
        (0, &[1, 1], &[1]),
        (0, &[1; 65], &[1; 65]),
    ] {
        let view = View {
            offset,
            shape,
            strides,
            ..PAIR
        };
        let error = state_dict_error(&dict("w", &view.tensor()));
        assert!(matches!(error, StateDictError::Damaged { .. }), "{error}");
    }
}

#[test]
fn checkpoints_that_hold_themselves_or_double_with_every_level_are_given_up() {
    assert_eq!(state_dict_error(b"]q\0h\0a"), StateDictError::TooDeep);
    assert_eq!(
        state_dict_error(b"ctorch.nn.parameter\nParameter\n)\x81q\0h\0\x85b"),
        StateDictError::TooDeep
    );
    assert_eq!(
        state_dict_error(b"ccollections\nOrderedDict\n)Rq\0X\x01\0\0\0kh\0s"),
        StateDictError::TooDeep
    );
    assert_eq!(state_dict_error(&doubling_lists()), StateDictError::TooMany);
    let mut many = PAIR.tensor();
    many.extend(b"q\x000](");
    many.extend(b"h\0".repeat(20_000));
    many.push(b'e');
    assert_eq!(state_dict_error(&many), StateDictError::TooMany);
}

#[test]
fn a_checkpoint_without_end_is_given_up_within_the_memory_promised() {
    for opcodes in [&b")Q"[..], b"h\0)\x81", b"h\0)R", b"N", b"]", b"N\x94"] {
        let mut object = b"ctorch.nn.parameter\nParameter\nq\0".to_vec();
        while object.len() < 4 << 20 {
            object.extend(opcodes);
        }
        let too_long = |error| matches!(error, TorchError::Pickle(PickleError::TooLong(_)));
        assert!(too_long(torch_error(archive(&object, &[]))), "{opcodes:?}");
        assert!(too_long(torch_error(legacy(&object, &[]))), "{opcodes:?}");
    }
}

#[test]
fn tensors_of_one_name_and_endless_names_are_refused() {
    let pair = PAIR.tensor();
    let twice = [b"}", &text("1")[..], &pair, b"sK\x01", &pair, b"s"].concat();
    let name = "1".to_owned();
    assert_eq!(state_dict_error(&twice), StateDictError::Duplicate { name });
    for object in [
        dict(&"x".repeat(513), &pair),
        dict(&"x".repeat(300), &dict(&"y".repeat(300), &pair)),
        dict("w", &pair)
            .iter()
            .map(|&b| if b == b'w' { 0xff } else { b })
            .collect(),
    ] {
        let error = state_dict_error(&object);
        assert!(matches!(error, StateDictError::Name { .. }), "{error}");
    }
}

#[test]
fn archives_that_torch_does_not_write_say_what_is_wrong() {
    let object = dict("w", &PAIR.tensor());
    let storage: &[(&str, &[u8])] = &[("0", &[0; 8])];
    let with = |name: &str, data: &[u8]| {
        let mut members = members(&object, storage);
        members.push(Member::stored(name, data));
        zip(&members)
    };
    open(with("m/byteorder", b"big")).unwrap();
    let error = torch_error(with("m/byteorder", b"middle\x1b"));
    assert_eq!(error, TorchError::ByteOrder("middle\\x1b".to_owned()));
    let error = torch_error(zip(&members(&object, storage)[1..2]
        .iter()
        .cloned()
        .chain([Member::stored("m/byteorder", b"little")])
        .collect::<Vec<_>>()));
    assert_eq!(error, TorchError::Missing("data.pkl"));
    let packed: Vec<_> = members(&object, storage)
        .iter()
        .map(|m| Member::deflated(std::str::from_utf8(&m.name).unwrap(), &m.data))
        .collect();
    let error = torch_error(zip(&packed));
    assert!(
        matches!(error, TorchError::Zip(ZipError::Compressed { .. })),
        "{error}"
    );
}

#[test]
fn storages_of_the_older_form_must_fill_the_file_as_announced() {
    let object = dict("w", &PAIR.tensor());
    open(legacy(&object, &[("0", 2, &[0; 8])])).unwrap();
    for count in [3, 1 << 40, 1 << 61] {
        let error = torch_error(legacy(&object, &[("0", count, &[0; 8])]));
        let TorchError::Truncated { missing } = error else {
            panic!("{error}");
        };
        assert_eq!(missing, 4 * count - 8);
    }
    let storages: [&[(&str, u64, &[u8])]; 3] = [
        &[("0", u64::MAX, &[0; 8])],
        &[("0", 2, &[0; 8]), ("0", 2, &[0; 8])],
        &[("1", 2, &[0; 8])],
    ];
    for storages in storages {
        let error = torch_error(legacy(&object, storages));
        assert_eq!(error, TorchError::Storages);
    }
    // A part of another storage, and one storage of two types
    let view = [&PAIR.storage()[..PAIR.storage().len() - 2], b"]tQ"].concat();
    let other = View {
        class: "HalfStorage",
        ..PAIR
    };
    let both = [b"](", &PAIR.storage()[..], &other.storage(), b"e"].concat();
    for object in [view, both] {
        let error = torch_error(legacy(&object, &[("0", 2, &[0; 8])]));
        assert!(
            matches!(error, TorchError::StateDict(StateDictError::Damaged { .. })),
            "{error}"
        );
    }
}
