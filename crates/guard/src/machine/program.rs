//! The tiny programs that probes load: instruction encoding and just enough BTF.
//!
//! They are written by hand rather than compiled, so that a probe asks for exactly one thing and
//! needs neither relocation nor libbpf's loader, which prints and changes limits on its own. None
//! is ever attached or run. Little-endian only, as are the machines the guard is built for.

/// One instruction, laid out as `struct bpf_insn` in the kernel's `uapi/linux/bpf.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// The frame pointer.
pub(super) const R10: u8 = 10;

impl Insn {
    const fn new(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Self {
        Self {
            code,
            registers: dst | (src << 4),
            offset,
            immediate,
        }
    }

    /// `dst = value`
    pub const fn set(dst: u8, value: i32) -> Self {
        Self::new(0xb7, dst, 0, 0, value)
    }

    /// `dst = src`
    pub const fn copy(dst: u8, src: u8) -> Self {
        Self::new(0xbf, dst, src, 0, 0)
    }

    /// `dst += value`
    pub const fn add(dst: u8, value: i32) -> Self {
        Self::new(0x07, dst, 0, 0, value)
    }

    /// `dst = *(u64 *)(src + offset)`
    pub const fn load64(dst: u8, src: u8, offset: i16) -> Self {
        Self::new(0x79, dst, src, offset, 0)
    }

    /// `*(u32 *)(dst + offset) = value`
    pub const fn store32(dst: u8, offset: i16, value: i32) -> Self {
        Self::new(0x62, dst, 0, offset, value)
    }

    /// `if (dst == 0) skip the next so many instructions`
    pub const fn skip_if_zero(dst: u8, instructions: i16) -> Self {
        Self::new(0x15, dst, 0, instructions, 0)
    }

    /// Calls a helper by its number.
    pub const fn call_helper(id: u32) -> Self {
        Self::new(0x85, 0, 0, 0, id as i32)
    }

    /// Calls a kernel function by the id of its type.
    pub const fn call_kfunc(type_id: u32) -> Self {
        Self::new(0x85, 0, 2, 0, type_id as i32)
    }

    /// `dst = map`, two instructions.
    pub const fn map(dst: u8, fd: i32) -> [Self; 2] {
        [Self::new(0x18, dst, 1, 0, fd), Self::new(0, 0, 0, 0, 0)]
    }

    /// `dst = the function that starts so many instructions after this one's first half`.
    pub const fn function(dst: u8, distance: i32) -> [Self; 2] {
        [
            Self::new(0x18, dst, 4, 0, distance - 1),
            Self::new(0, 0, 0, 0, 0),
        ]
    }

    /// Returns from the function.
    pub const fn exit() -> Self {
        Self::new(0x95, 0, 0, 0, 0)
    }
}

/// `return 0`
pub(super) const RETURN_ZERO: [Insn; 2] = [Insn::set(0, 0), Insn::exit()];

/// A BTF blob under construction, in the format of the kernel's `Documentation/bpf/btf.rst`.
#[derive(Debug, Default)]
struct Blob {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

const KIND_INT: u32 = 1;
const KIND_STRUCT: u32 = 4;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const SIGNED: u32 = 1 << 24;

impl Blob {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            // Offset 0 is the empty name.
            self.strings.push(0);
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        offset
    }

    fn push(&mut self, words: &[u32]) -> u32 {
        for word in words {
            self.types.extend_from_slice(&word.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    fn signed_int(&mut self) -> u32 {
        let name = self.name("int");
        self.push(&[name, KIND_INT << 24, 4, SIGNED | 32])
    }

    fn unsigned_long(&mut self) -> u32 {
        let name = self.name("unsigned long");
        self.push(&[name, KIND_INT << 24, 8, 64])
    }

    /// A structure of eight-byte members, each of the type given.
    fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let name = self.name(name);
        let mut words = vec![name, (KIND_STRUCT << 24) | members.len() as u32, size];
        for (member, type_id, bit_offset) in members {
            words.extend([self.name(member), *type_id, *bit_offset]);
        }
        self.push(&words)
    }

    fn prototype(&mut self, returns: u32) -> u32 {
        self.push(&[0, KIND_FUNC_PROTO << 24, returns])
    }

    fn function(&mut self, name: &str, prototype: u32) -> u32 {
        let name = self.name(name);
        self.push(&[name, KIND_FUNC << 24, prototype])
    }

    fn finish(self) -> Vec<u8> {
        const HEADER_BYTES: u32 = 24;
        let types_bytes = self.types.len() as u32;
        let mut blob = Vec::new();
        blob.extend_from_slice(&0xeb9f_u16.to_ne_bytes());
        blob.extend_from_slice(&[1, 0]);
        for word in [
            HEADER_BYTES,
            0,
            types_bytes,
            types_bytes,
            self.strings.len() as u32,
        ] {
            blob.extend_from_slice(&word.to_ne_bytes());
        }
        blob.extend_from_slice(&self.types);
        blob.extend_from_slice(&self.strings);
        blob
    }
}

/// Types of a program with a main function and a callback.
pub(super) struct CallbackTypes {
    pub blob: Vec<u8>,
    pub main: u32,
    pub callback: u32,
}

/// Types the verifier asks for before it lets a program take a function's address.
pub(super) fn callback_types() -> CallbackTypes {
    let mut blob = Blob::default();
    let int = blob.signed_int();
    let prototype = blob.prototype(int);
    let main = blob.function("main", prototype);
    let callback = blob.function("each", prototype);
    CallbackTypes {
        blob: blob.finish(),
        main,
        callback,
    }
}

/// Types of an array map whose value holds a timer.
pub(super) struct TimerTypes {
    pub blob: Vec<u8>,
    pub key: u32,
    pub value: u32,
}

/// The size of `struct bpf_timer` in the kernel's `uapi/linux/bpf.h`.
pub(super) const TIMER_BYTES: u32 = 16;

/// The kernel finds a timer in a map's value by the name and size of the member's type.
pub(super) fn timer_types() -> TimerTypes {
    let mut blob = Blob::default();
    let key = blob.signed_int();
    let word = blob.unsigned_long();
    let timer = blob.structure(
        "bpf_timer",
        TIMER_BYTES,
        &[("opaque_0", word, 0), ("opaque_1", word, 64)],
    );
    let value = blob.structure("held", TIMER_BYTES, &[("deadline", timer, 0)]);
    TimerTypes {
        blob: blob.finish(),
        key,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_eight_bytes() {
        assert_eq!(size_of::<Insn>(), 8);
        let call = Insn::call_kfunc(0x1_0000);
        assert_eq!(
            (call.code, call.registers, call.immediate),
            (0x85, 0x20, 0x1_0000)
        );
    }

    #[test]
    fn the_types_read_back_as_btf() {
        let types = timer_types();
        let blob = super::super::vmlinux::TypeNames::read(&types.blob, &[]);
        assert!(blob.is_ok(), "{blob:?}");
    }
}
