import Files
import Glibc
import Tensors

/// The hidden folder beside a backbone's weights where packed weights are kept. Nothing that prevents writing there is
/// an error: the next run packs again.
struct PackedFolder: Sendable {
    /// The folder's name in the backbone's folder.
    static let name = ".packed"
    /// The ending of its files' names.
    static let ending = ".safetensors"
    /// The additional ending of an unfinished file's name.
    static let partialEnding = ".partial"

    /// The backbone's folder.
    let parent: String
    /// The folder itself.
    var path: String { "\(parent)/\(Self.name)" }

    /// How many bytes must be free for each byte that is written, so that the cache never fills the disk.
    private static let freeSpace = 4

    /// Writes a file under a temporary name and renames it when it is complete, replacing an existing one.
    ///
    /// The temporary file is locked while it is written, so only one process writes; the remains of a killed process
    /// are overwritten by the next. Nothing is flushed: a file torn by a power failure is found by its checksums.
    ///
    /// - Parameters:
    ///   - byteCount: the approximate size.
    ///   - fill: passes the file's pieces to a closure, which returns whether to continue; returns whether all were
    ///     taken.
    /// - Returns: whether the file was written.
    func write(
        _ name: String, byteCount: Int, _ fill: (_ write: (UnsafeRawBufferPointer) -> Bool) -> Bool
    ) -> Bool {
        guard isOwnedByUser else { return false }
        mkdir(path, 0o755)
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { return false }
        defer { close(folder) }
        let partial = name + Self.partialEnding
        let descriptor = openat(
            folder, partial, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        defer { FileLock.close(descriptor) }
        guard FileLock.take(descriptor) == nil, Self.isStill(descriptor, partial, in: folder) else {
            return false
        }
        guard hasSpace(for: byteCount, descriptor), ftruncate(descriptor, 0) == 0,
            fill({ FileWriting.writeAll($0, to: descriptor) == nil }),
            renameat(folder, partial, folder, name) == 0
        else {
            unlinkat(folder, partial, 0)
            return false
        }
        return true
    }

    /// Writes packed weights.
    func write(_ file: PackedFile, as name: String) -> Bool {
        write(name, byteCount: file.byteCount, file.forEachPiece)
    }

    /// Removes packed weights of other versions of the model.
    func removeOthers(than key: PackedFile.Key) {
        for name in (try? SmallFiles.names(in: path)) ?? [] where name.hasSuffix(Self.ending) {
            let path = "\(path)/\(name)"
            let otherKey = (try? SafetensorsFile(path: path)).flatMap { PackedFile.key(of: $0) }
            if otherKey?.model != key.model { unlink(path) }
        }
    }

    /// Whether the folder is on a local file system. On network file systems another machine can remove a file while it
    /// is mapped here, which ends the process at its next read.
    var isLocal: Bool {
        guard let device = FileStatus(path: parent)?.device else { return false }
        return !FileSystems.networkDevices.contains(device)
    }

    /// Whether the backbone's folder belongs to the user: other owners could not remove the cache.
    private var isOwnedByUser: Bool { FileStatus(path: parent)?.owner == geteuid() }

    /// Whether an open file is a regular file without other names, and still has that name: the process that had locked
    /// it may have renamed it.
    private static func isStill(_ descriptor: Int32, _ name: String, in folder: Int32) -> Bool {
        var (opened, there) = (stat(), stat())
        return fstat(descriptor, &opened) == 0 && fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0
            && opened.st_ino == there.st_ino && opened.st_dev == there.st_dev && opened.st_nlink == 1
            && opened.st_mode & S_IFMT == S_IFREG
    }

    private func hasSpace(for count: Int, _ descriptor: Int32) -> Bool {
        var status = statvfs()
        guard fstatvfs(descriptor, &status) == 0 else { return false }
        return Int(clamping: status.f_bavail) / Self.freeSpace > count / Int(clamping: max(status.f_frsize, 1))
    }
}

/// The mounted file systems.
enum FileSystems {
    /// The types of file systems whose files other machines can change, as in `/proc`. FUSE may be any.
    private static let networkTypes: Set<Substring> = [
        "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "coda", "9p", "virtiofs", "ceph", "lustre", "gpfs", "beegfs",
        "ocfs2", "gfs2",
        "orangefs", "glusterfs",
    ]

    /// The devices of network file systems.
    static var networkDevices: Set<UInt64> {
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

    /// The device in a line of mountinfo, if it is a network file system's:
    /// "36 35 98:0 /root /mountpoint options - type source options".
    static func networkDevice(_ line: String) -> UInt64? {
        let fields = line.split(separator: " ")
        guard fields.count > 2, let dash = fields.dropFirst(6).firstIndex(of: "-"), dash + 1 < fields.count else {
            return nil
        }
        let (type, numbers) = (fields[dash + 1], fields[2].split(separator: ":").compactMap { UInt32($0) })
        guard numbers.count == 2, networkTypes.contains(type) || type.hasPrefix("fuse") else { return nil }
        return device(major: UInt64(numbers[0]), minor: UInt64(numbers[1]))
    }

    /// The number of a device in `stat`: makedev(3), which is a macro.
    private static func device(major: UInt64, minor: UInt64) -> UInt64 {
        (major & ~0xFFF) << 32 | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | minor & 0xFF
    }
}
