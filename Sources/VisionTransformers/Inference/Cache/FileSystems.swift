import Glibc

/// What the system says of the file systems that this process sees.
enum FileSystems {
    /// How `/proc` names file systems whose files other machines can change. FUSE may be anything.
    private static let networkTypes: Set<Substring> = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "coda", "9p", "virtiofs", "ceph", "lustre", "gpfs", "beegfs",
        "ocfs2", "gfs2",
        "orangefs", "glusterfs",
    ]

    /// The devices of file systems of networks.
    static var ofNetworks: Set<UInt64> {
        guard let file = fopen("/proc/self/mountinfo", "re") else { return [] }
        defer { fclose(file) }
        var devices: Set<UInt64> = []
        var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let line {
            if let device = networkDevice(String(cString: line)) { devices.insert(device) }
        }
        return devices
    }

    /// The device of a line of mountinfo, if it is one of a network: "36 35 98:0 /root /place options - type source options".
    static func networkDevice(_ line: String) -> UInt64? {
        let fields = line.split(separator: " ")
        guard fields.count > 2, let dash = fields.dropFirst(6).firstIndex(of: "-"), dash + 1 < fields.count else {
            return nil
        }
        let (type, numbers) = (fields[dash + 1], fields[2].split(separator: ":").compactMap { UInt32($0) })
        guard numbers.count == 2, networkTypes.contains(type) || type.hasPrefix("fuse") else { return nil }
        return device(major: UInt64(numbers[0]), minor: UInt64(numbers[1]))
    }

    /// The number that `stat` gives a device: makedev(3), which is a macro.
    private static func device(major: UInt64, minor: UInt64) -> UInt64 {
        (major & ~0xFFF) << 32 | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | minor & 0xFF
    }
}
