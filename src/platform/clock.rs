//! State of the system's clock, as far as the kernel knows.
#![expect(unsafe_code, reason = "no library offers adjtimex without it")]

/// Returns whether the kernel says that nothing keeps its clock right. Where it may not be asked,
/// as in some sandboxes, that is not claimed.
pub(crate) fn is_unsynchronised() -> bool {
    // SAFETY: a struct of integers, for which zero is a value; `modes` of 0 changes nothing.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call, which fills in the struct.
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    state != -1 && clock.status & libc::STA_UNSYNC != 0
}
