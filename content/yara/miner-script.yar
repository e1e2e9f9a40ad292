// Scripts: those that mine by themselves, and those that fetch or start a miner. A script that cleans up
// after one names it too, and neither connects to a pool nor gives a pool to what it starts.

rule stratum_client_script
{
    meta:
        sees = "miner-file"
        family = "script"
        says = "a script that takes work from a pool, hashes and submits"
    strings:
        $subscribe = "mining.subscribe"
        $authorize = "mining.authorize"
        $submit = "mining.submit"
        $net_1 = "create_connection"
        $net_2 = ".connect("
        $net_3 = "open_connection"
        $net_4 = "new WebSocket"
        $net_5 = "net.createConnection"
        $net_6 = "/dev/tcp/"
        $net_7 = "IO::Socket"
        $hash_1 = "hashlib" 
        $hash_2 = "sha256" nocase
        $hash_3 = "scrypt"
        $hash_4 = "cryptonight" nocase
        $hash_5 = "randomx" nocase
        $hash_6 = "yespower"
        $nonce = "nonce" nocase
    condition:
        uint16(0) == 0x2123 and $subscribe and $authorize and $submit and $nonce
        and any of ($net_*) and any of ($hash_*)
}

rule cryptonote_client_script
{
    meta:
        sees = "miner-file"
        family = "script"
        says = "a script that takes CryptoNote jobs from a pool"
    strings:
        $login = /["']method["']\s*:\s*["']login["']/
        $submit = /["']method["']\s*:\s*["']submit["']/
        $blob = /["']blob["']/
        $job = /["']job(_id)?["']/
        $nonce = "nonce"
        $hash_1 = "cryptonight" nocase
        $hash_2 = "randomx" nocase
        $hash_3 = "cn/"
        $hash_4 = "rx/0"
        $hash_5 = "argon2" nocase
        $hash_6 = "pycryptonight"
    condition:
        uint16(0) == 0x2123 and $login and $submit and $blob and $job and $nonce and any of ($hash_*)
}

rule script_starts_miner
{
    meta:
        sees = "miner-file"
        family = "script"
        says = "a script that starts a miner with a pool"
    strings:
        $start = /(^|[\n;&|(] *|nohup +|exec +|setsid +|screen [^\n]{0,40}|sudo +|timeout [0-9]+[smh]? +)[.~$\/A-Za-z0-9_{}"-]{0,80}(xmrig|xmr-stak|cpuminer|minerd|t-rex|lolminer|nbminer|phoenixminer|srbminer[a-z-]*|gminer|teamredminer|bzminer|nanominer|ccminer|ethminer|bfgminer|cgminer)["']? [^\n]{0,400}(-o|--url|--pool|-P|--server)[ =]?["']?[^\n ]{1,200}:[0-9]{2,5}/ nocase
    condition:
        uint16(0) == 0x2123 and $start
}

rule script_fetches_miner
{
    meta:
        sees = "miner-file"
        family = "script"
        says = "a script that fetches a miner and gives it a pool"
    strings:
        $fetch = /(curl|wget|fetch|aria2c|urlretrieve|requests\.get|urlopen|Invoke-WebRequest)[^\n]{1,300}(xmrig|xmr-stak|cpuminer|minerd|t-rex|lolminer|nbminer|phoenixminer|srbminer|gminer|teamredminer|nanominer|ccminer|c3pool|moneroocean)[^\n]{0,200}(\.tar|\.gz|\.tgz|\.zip|\.xz|\.sh|\/releases\/download\/|linux)/ nocase
        $pool_1 = /stratum(2)?\+(tcp|ssl|tls|udp):\/\/[a-z0-9.-]{4,}/ nocase
        $pool_2 = /--?(o|url|pool)[ =]["']?[a-z0-9.-]{4,}:[0-9]{2,5}/ nocase
        $pool_3 = "donate-level"
        $pool_4 = /"(url|pool)"\s*:\s*"[a-z0-9.-]{4,}:[0-9]{2,5}"/ nocase
    condition:
        uint16(0) == 0x2123 and $fetch and any of ($pool_*)
}
