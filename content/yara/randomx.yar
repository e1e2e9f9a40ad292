// RandomX, by the constants that no implementation can leave out: the round keys and states of its AES
// generators and the numbers that begin its dataset items.
// Source: the RandomX specification (tevador/RandomX, doc/specs.md, 3.2 to 3.4 and 7.3), where the AES
// constants are given as the Blake2b digests of named texts. They are halved, since compilers put them
// into a program as eight bytes as well as sixteen.

rule randomx_constants
{
    meta:
        sees = "miner-file"
        family = "RandomX"
        says = "the round keys and dataset numbers of RandomX"
    strings:
        $generator1_0 = { 53 a5 ac 6d 09 66 71 62 }
        $generator1_1 = { 2b 55 b5 db 17 49 f4 b4 }
        $generator1_2 = { 07 af 7c 6d 0d 71 6a 84 }
        $generator1_3 = { 78 d3 25 17 4e dc a1 0d }
        $generator1_4 = { f1 62 12 3f c6 7e 94 9f }
        $generator1_5 = { 4f 79 c0 f4 45 e3 20 3e }
        $generator1_6 = { 35 81 ef 6a 7c 31 ba b1 }
        $generator1_7 = { 88 4c 31 16 54 91 16 49 }
        $generator4_0 = { dd aa 21 64 db 3d 83 d1 }
        $generator4_1 = { 2b 6d 54 2f 3f d2 e5 99 }
        $generator4_2 = { 50 34 0e b2 55 3f 91 b6 }
        $generator4_3 = { 53 9d f7 06 e5 cd df a5 }
        $generator4_4 = { 5d 46 90 f8 a6 e4 fb 7f }
        $generator4_5 = { b7 82 1f 14 95 9e 35 cf }
        $hash1_0 = { 0d 2c b5 92 de 56 a8 9f }
        $hash1_1 = { 47 db 82 cc ad 3a 98 d7 }
        $hash1_2 = { 6e 99 8d 33 98 b7 c7 15 }
        $hash1_3 = { 5a 12 9e f5 57 80 e7 ac }
        $hash1_4 = { 89 83 fa f6 9f 94 24 8b }
        $hash1_5 = { bf 56 dc 90 01 02 89 06 }
        $item_1 = { fc a1 f5 59 8a 97 0a 81 }
        $item_2 = { 46 d8 c2 38 df 99 70 a7 }
        $item_3 = { 5c 49 22 bf 1c b9 26 81 }
        $item_4 = { 62 8a 9f 17 97 25 4d 49 }
        $item_5 = { 0c ec aa ce b9 ef 37 92 }
        $item_6 = { 78 2d e6 6c 74 56 2a 2f }
        $item_7 = { 4e e5 2c b6 f7 3b 85 84 }
    condition:
        4 of them
}

rule randomx_salt
{
    meta:
        sees = "miner-file"
        family = "RandomX"
        says = "the Argon2 salt of RandomX or of a coin's variant, beside its vocabulary"
    strings:
        $salt_monero = "RandomX\x03\x00"
        $salt_wownero = "RandomWOW\x01\x00"
        $salt_arqma = "RandomARQ\x01\x00"
        $salt_loki = "RandomXL\x12\x00"
        $salt_keva = "RandomKV\x01\x00"
        $salt_graft = "RandomGRFT\x01\x00"
        $salt_safex = "RandomSFX\x01\x00"
        $word_1 = "randomx_" nocase
        $word_2 = "rx/0\x00"
        $word_3 = "seed_hash"
        $word_4 = "job_id"
        $word_5 = "argon2" nocase
        $word_6 = "dataset" nocase
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and (2 of ($salt_*) or (any of ($salt_*) and 2 of ($word_*)))
}

rule randomx_source
{
    meta:
        sees = "miner-file"
        family = "RandomX"
        says = "RandomX written out in a script"
    strings:
        $key_0 = "b4f44917" nocase
        $key_1 = "dbb5552b" nocase
        $key_2 = "62716609" nocase
        $key_3 = "6daca553" nocase
        $key_4 = "d7983aad" nocase
        $key_5 = "92b52c0d" nocase
        $item_1 = "9298411001130361340"
        $item_2 = "12065312585734608966"
        $item_3 = "9306329213124626780"
        $item_4 = "5281919268842080866"
    condition:
        uint16(0) == 0x2123 and 4 of them
}
