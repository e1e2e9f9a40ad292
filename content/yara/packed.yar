import "elf"

// A packed program shows its packer. That is a weak sign: some people pack what they ship.
// Source: the layout of packed ELF files in UPX (p_lx_elf.cpp, include/header.h): the loader's info behind
// the program headers and the pack header at the end both carry the mark.

rule upx_packed
{
    meta:
        sees = "packed-file"
        family = "UPX"
        says = "packed with UPX"
    strings:
        $mark = "UPX!"
        $says = "This file is packed with the UPX executable packer"
    condition:
        uint32(0) == 0x464c457f
        and ($mark in (0..1024) or ($says and $mark in (filesize - 128..filesize)))
}

// The same with its marks wiped: no sections, and a segment that is almost all made up at start.
rule packed_by_shape
{
    meta:
        sees = "packed-file"
        family = "packer"
        says = "has the shape of a packed program: no sections, and a segment that is filled as it starts"
    condition:
        uint32(0) == 0x464c457f
        and elf.number_of_sections == 0
        and elf.number_of_segments <= 4
        and filesize > 20000
        and for any segment in elf.segments : (
            segment.type == elf.PT_LOAD
            and segment.memory_size > 1048576
            and segment.file_size * 8 < segment.memory_size
        )
}

// The first bytes of a compressed run stand as they are, so words of a miner often show in pieces.
rule packed_miner
{
    meta:
        sees = "miner-file"
        family = "packed"
        says = "packed with UPX, and pieces of a miner's words show"
    strings:
        $mark = "UPX!"
        $piece_1 = "XMRig" nocase
        $piece_2 = "randomx" nocase
        $piece_3 = "cryptonig" nocase
        $piece_4 = "stratum+"
        $piece_5 = "mining.su"
        $piece_6 = "mining.au"
        $piece_7 = "donate-l"
        $piece_8 = "hashrate"
        $piece_9 = "nicehash"
        $piece_10 = "cn-heavy"
        $piece_11 = "RandomX\x03"
        $piece_12 = "cpuminer"
    condition:
        uint32(0) == 0x464c457f and $mark in (0..1024) and 3 of ($piece_*)
}
