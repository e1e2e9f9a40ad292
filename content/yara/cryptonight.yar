// CryptoNight ends in one of four hashes, of which two with 256 bits out of wider ones are used by little
// else: JH-256 (its own initial state) and Skein-512-256. A program that holds both and speaks of jobs is a
// CryptoNote miner; a library of hashes does not speak of jobs, and a node has no pool's words.
// Sources: CryptoNote standard 008; the submissions of JH and Skein to the SHA-3 competition.

rule cryptonight_hashes
{
    meta:
        sees = "miner-file"
        family = "CryptoNight"
        says = "the last hashes of CryptoNight, and a pool's jobs"
    strings:
        $jh = { eb 98 a3 41 2c 20 d3 eb 92 cd be 7b 9c b2 45 c1 }
        $skein = { 13 3e db 2f a1 44 d0 cc }
        $job_1 = "job_id"
        $job_2 = "seed_hash"
        $job_3 = "keepalived"
        $job_4 = "\"blob\""
        $job_5 = "nonce"
        $job_6 = "rigid"
        $job_7 = "hashrate"
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and $jh and $skein and 3 of ($job_*)
}

// The names by which pools and miners agree on an algorithm, as a table of a program holds them.
rule cryptonote_algorithms
{
    meta:
        sees = "miner-file"
        family = "CryptoNote"
        says = "a table of mining algorithms, and a pool's jobs"
    strings:
        $name_0 = "\x00cn/0\x00"
        $name_1 = "\x00cn/1\x00"
        $name_2 = "\x00cn/2\x00"
        $name_3 = "\x00cn/r\x00"
        $name_4 = "\x00cn/fast\x00"
        $name_5 = "\x00cn/half\x00"
        $name_6 = "\x00cn/xao\x00"
        $name_7 = "\x00cn/rto\x00"
        $name_8 = "\x00cn-lite/0\x00"
        $name_9 = "\x00cn-lite/1\x00"
        $name_10 = "\x00cn-heavy/0\x00"
        $name_11 = "\x00cn-heavy/xhv\x00"
        $name_12 = "\x00cn-pico\x00"
        $name_13 = "\x00rx/0\x00"
        $name_14 = "\x00rx/wow\x00"
        $name_15 = "\x00rx/arq\x00"
        $name_16 = "\x00argon2/chukwa\x00"
        $name_17 = "\x00argon2/chukwav2\x00"
        $name_18 = "\x00ghostrider\x00"
        $name_19 = "\x00kawpow\x00"
        $name_20 = "\x00panthera\x00"
        $job_1 = "job_id"
        $job_2 = "seed_hash"
        $job_3 = "keepalived"
        $job_4 = "hashrate"
        $job_5 = "donate"
    condition:
        uint32(0) == 0x464c457f and 6 of ($name_*) and 2 of ($job_*)
}
