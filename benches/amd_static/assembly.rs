//! What stands in a listing of an AMD GPU's instructions: the loop that does the arithmetic.

/// Instructions of a loop, without those of the loops in it and those that only say what to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Loop {
    pub(crate) instructions: usize,
    /// Of them float multiply-adds. An instruction of two halves (`v_dual_...`) counts twice, here and above.
    pub(crate) multiply_adds: usize,
}

/// The loop of `listing` with most multiply-adds; `None` where no loop has any.
///
/// A listing is blocks of instructions, a line each, under labels `BB0:`, `BB1:`. A branch to a label above it closes a loop.
pub(crate) fn inner_loop(listing: &str) -> Option<Loop> {
    let mut labels: Vec<(&str, usize)> = vec![];
    let mut lines: Vec<&str> = vec![];
    for line in listing.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        match line.strip_suffix(':') {
            Some(label) => labels.push((label, lines.len())),
            None if line.is_empty() => {}
            None => lines.push(line),
        }
    }
    // First and last line of each loop; of branches to one place the last closes it.
    let mut loops: Vec<(usize, usize)> = vec![];
    for (at, line) in lines.iter().enumerate() {
        let Some((name, target)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let label = labels.iter().find(|(label, _)| *label == target.trim());
        let Some(&(_, first)) = label else { continue };
        if !name.contains("branch") || first > at {
            continue;
        }
        loops.retain(|&(other, _)| other != first);
        loops.push((first, at));
    }
    let own = |&(first, last): &(usize, usize)| {
        let inner = |at: usize| {
            let within = |&&(f, l): &&(usize, usize)| f > first && l <= last;
            loops
                .iter()
                .filter(within)
                .any(|&(f, l)| (f..=l).contains(&at))
        };
        let mut count = Loop::default();
        for at in (first..=last).filter(|&at| !inner(at)) {
            for half in lines[at].split("::").map(str::trim) {
                count.instructions += usize::from(!is_wait(half));
                count.multiply_adds += usize::from(is_multiply_add(half));
            }
        }
        count
    };
    let counts = loops.iter().map(own);
    counts
        .filter(|it| it.multiply_adds > 0)
        .max_by_key(|it| it.multiply_adds)
}

/// Whether it only orders others, and keeps no unit busy.
fn is_wait(instruction: &str) -> bool {
    let waits = ["s_wait", "s_nop", "s_clause", "s_delay_alu"];
    waits.iter().any(|name| instruction.starts_with(name))
}

/// Whether it multiplies floats and adds: `v_fma_f32`, `v_dual_fmac_f32`, `v_pk_fma_f16` and the like; not `v_mad_u32_u24`.
fn is_multiply_add(instruction: &str) -> bool {
    let name = instruction.split_whitespace().next().unwrap_or_default();
    let Some(name) = name.strip_prefix("v_") else {
        return false;
    };
    let name = name.trim_start_matches("dual_").trim_start_matches("pk_");
    let kinds = [
        "fma", "fmac", "fmaak", "fmamk", "mac", "mad", "madak", "madmk",
    ];
    // In `v_fma_mix_f32` some of the factors are float16.
    let is_float = |ty: &str| ty.starts_with('f') || ty.starts_with("mix");
    name.split_once('_')
        .is_some_and(|(kind, ty)| kinds.contains(&kind) && is_float(ty))
}

/// Holds the reading of listings against one made by hand.
pub(crate) fn check() {
    let listing = "
BB0:
    s_mov_b32 s0, 0                         ; be800080
    v_fma_f32 v9, v1, v2, v3
    v_fma_f32 v9, v1, v2, v3
    v_fma_f32 v9, v1, v2, v3
    v_fma_f32 v9, v1, v2, v3
BB1:
    v_fmac_f32_e32 v0, v1, v2
    v_mul_f32_e32 v0, v1, v2
BB2:
    ds_read_b128 v[0:3], v4 offset:16
    s_waitcnt lgkmcnt(0)
    v_mad_u32_u24 v1, v2, v3, v4
    v_dual_fmac_f32 v0, v1, v2 :: v_dual_mul_f32 v3, v4, v5
    v_mad_f32 v1, v2, v3, v4
    s_cbranch_scc1 BB4
BB3:
    v_mac_f32_e32 v1, v2, v3
    s_branch BB2
BB4:
    s_cbranch_vccnz BB1
    s_endpgm
";
    let expected = Loop {
        instructions: 8,
        multiply_adds: 3,
    };
    assert_eq!(inner_loop(listing), Some(expected));
    assert_eq!(inner_loop("BB0:\nv_fma_f32 v0, v1, v2, v3\ns_endpgm"), None);
}
