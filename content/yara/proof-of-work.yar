// Algorithms that are told by the text they personalise their hashes with. A node of such a coin holds the
// text as well; what a node has not is a pool's words.
// Sources: yespower's reference code and its coins; the Zcash protocol specification (5.4.1.9).

rule yespower_personalisation
{
    meta:
        sees = "miner-file"
        family = "yespower"
        says = "a coin's text for yespower, and a pool's words"
    strings:
        $text_1 = "working or available for proof-of-work mini"
        $text_2 = "Now I am become Death, the destroyer of worlds"
        $name_1 = "yespower" nocase
        $name_2 = "yescrypt" nocase
        $pool_1 = "mining.subscribe"
        $pool_2 = "mining.authorize"
        $pool_3 = "mining.submit"
        $pool_4 = "stratum"
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and any of ($text_*) and any of ($name_*) and 2 of ($pool_*)
}

rule equihash_personalisation
{
    meta:
        sees = "miner-file"
        family = "Equihash"
        says = "the text of Equihash, and a pool's words"
    strings:
        $text_1 = "ZcashPoW"
        $text_2 = "BgoldPoW"
        $text_3 = "BitcoinZ"
        $text_4 = "ZelProof"
        $text_5 = "Beam-PoW"
        $name_1 = "equihash" nocase
        $name_2 = "mining.set_target"
        $pool_1 = "mining.subscribe"
        $pool_2 = "mining.authorize"
        $pool_3 = "mining.submit"
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and any of ($text_*) and any of ($name_*) and 2 of ($pool_*)
}
