internal import CKernels
import Glibc

/// The number of processors that this process may use: those of its affinity (taskset, Slurm, a container's cpuset),
/// but no more than the quota of its control groups.
package enum AvailableProcessors {
    /// The number, at least 1; measured once.
    package static let count = count(allowed: Int(mv_processors_allowed()), quota: ProcessorQuota().processors)

    /// - Parameters:
    ///   - allowed: the processors of the affinity; 0 where the system does not say.
    ///   - quota: the processors that the control groups allow, possibly a fraction; nil without a limit.
    static func count(allowed: Int, quota: Double?) -> Int {
        let allowed = allowed > 0 ? allowed : max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        guard let quota, quota < Double(allowed) else { return allowed }
        return max(1, Int(quota.rounded(.up)))
    }
}

/// The processor time that the control groups of this process allow, from files of the kernel.
///
/// Both hierarchies are read: version 2 (`cpu.max`), and the controller `cpu` of version 1 (`cpu.cfs_quota_us` and
/// `cpu.cfs_period_us`). A limit holds for all groups below it, so every group from the process's own up to the root
/// counts. A file that cannot be read or parsed sets no limit.
struct ProcessorQuota {
    /// The number of processors, possibly a fraction; nil without a limit.
    let processors: Double?

    /// Reads the quota.
    ///
    /// - Parameter root: a prefix of all paths, for tests.
    init(root: String = "") {
        let mounts = Self.lines("\(root)/proc/self/mountinfo").compactMap(Mount.init)
        var quotas: [Double] = []
        for group in Self.lines("\(root)/proc/self/cgroup").compactMap(Group.init) {
            guard let mount = mounts.last(where: { $0.isVersion2 == group.isVersion2 }) else { continue }
            for folder in mount.folders(of: group.path) {
                let folder = root + folder
                let quota =
                    group.isVersion2
                    ? Self.quota(Self.lines("\(folder)/cpu.max").first ?? "")
                    : Self.quota(
                        "\(Self.lines("\(folder)/cpu.cfs_quota_us").first ?? "") "
                            + (Self.lines("\(folder)/cpu.cfs_period_us").first ?? ""))
                if let quota { quotas.append(quota) }
            }
        }
        processors = quotas.min()
    }

    /// "200000 100000" as 2; nil for "max 100000", "-1 100000" and anything but two numbers above 0.
    static func quota(_ line: String) -> Double? {
        let parts = line.split(separator: " ").map { Int($0) }
        guard parts.count == 2, let quota = parts[0], let period = parts[1], quota > 0, period > 0 else { return nil }
        return Double(quota) / Double(period)
    }

    /// A line of `/proc/self/cgroup` that is about processor time: `0::/a/b`, or `4:cpu,cpuacct:/a/b`.
    private struct Group {
        let isVersion2: Bool
        let path: String

        init?(_ line: String) {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            isVersion2 = parts[0] == "0" && parts[1].isEmpty
            path = String(parts[2])
            guard isVersion2 || parts[1].split(separator: ",").contains("cpu") else { return nil }
        }
    }

    /// A line of `/proc/self/mountinfo` that mounts such a hierarchy.
    private struct Mount {
        let isVersion2: Bool
        /// The group at `folder`.
        let root: String
        let folder: String

        init?(_ line: String) {
            // ID, parent, device, root, mount point, options, optional fields, "-", type, source, file system options.
            let parts = line.split(separator: " ").map(String.init)
            guard let dash = parts.firstIndex(of: "-"), dash >= 6, parts.count > dash + 3 else { return nil }
            switch parts[dash + 1] {
            case "cgroup2": isVersion2 = true
            case "cgroup" where parts[dash + 3].split(separator: ",").contains("cpu"): isVersion2 = false
            default: return nil
            }
            root = ProcessorQuota.unescaped(parts[3])
            folder = ProcessorQuota.unescaped(parts[4])
        }

        /// The folders of a group and of all visible groups above it, the group's own first. A group that is not below
        /// the mount's root is taken to be the root, as it is for a process that sees its container's group there.
        func folders(of path: String) -> [String] {
            var names: [Substring] = []
            let (groupNames, rootNames) = (path.split(separator: "/"), root.split(separator: "/"))
            if groupNames.starts(with: rootNames), !groupNames.contains("..") {
                names = Array(groupNames.dropFirst(rootNames.count))
            }
            return (0...names.count).reversed().map { count in
                ([Substring(folder)] + names.prefix(count)).joined(separator: "/")
            }
        }
    }

    /// The kernel writes spaces, tabs, newlines and backslashes in paths as \040 and so on.
    private static func unescaped(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The lines of a file of the kernel, none if it cannot be read.
    private static func lines(_ path: String) -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            content += buffer[..<count]
        }
        return String(decoding: content, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
