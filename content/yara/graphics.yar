// Algorithms for graphics processors: their kernels are compiled on the machine, so their source lies in
// the program, and KawPow mixes its own name in as numbers.
// Sources: EIP-1057 (ProgPoW); the Ravencoin KAWPOW specification; names of kernels in open miners.

rule kawpow_constants
{
    meta:
        sees = "miner-file"
        family = "KawPow"
        says = "the name that KawPow mixes in, as numbers, and a pool's words"
    strings:
        $name = { 72 00 00 00 41 00 00 00 56 00 00 00 45 00 00 00 4e 00 00 00 43 00 00 00 4f 00 00 00 49 00 00 00 4e 00 00 00 4b 00 00 00 }
        $pool_1 = "mining.subscribe"
        $pool_2 = "mining.authorize"
        $pool_3 = "mining.notify"
        $pool_4 = "mining.set_target"
        $pool_5 = "stratum"
        $pool_6 = "hashrate"
        $pool_7 = "job_id"
        $kernel = "__kernel"
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and $name and 2 of ($pool_*, $kernel)
}

rule mining_kernels
{
    meta:
        sees = "miner-file"
        family = "Ethash"
        says = "kernels of a mining algorithm for graphics processors"
    strings:
        $kernel = "__kernel"
        $cuda = "__launch_bounds__"
        $ptx = ".visible .entry"
        $name_1 = "ethash_calculate_dag_item"
        $name_2 = "ethash_generate_dag"
        $name_3 = "ethash_search"
        $name_4 = "progpow_search"
        $name_5 = "progPowLoop"
        $name_6 = "PROGPOW_LANES"
        $name_7 = "PROGPOW_DAG_LOADS"
        $name_8 = "GenerateDAG"
        $name_9 = "fnv_reduce"
        $name_10 = "cn_implode"
        $name_11 = "cryptonight_core"
        $name_12 = "autolykos"
        $name_13 = "cuckatoo"
        $name_14 = "SeedB_kernel"
        $name_15 = "g_output->result"
        $name_16 = "ETHASH_DATASET_PARENTS"
    condition:
        (uint32(0) == 0x464c457f or uint16(0) == 0x2123)
        and any of ($kernel, $cuda, $ptx) and 3 of ($name_*)
}
