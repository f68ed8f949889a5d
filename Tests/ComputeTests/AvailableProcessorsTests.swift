import Foundation
import TestSupport
import Testing

@testable import Compute

/// How many processors a process may use, from the kernel's files as they are written on real systems.
@Suite struct AvailableProcessorsTests {
    /// The quota that files below a root give.
    private func quota(_ files: [String: String]) throws -> Double? {
        let root = try TemporaryFolder()
        for (name, content) in files { try root.write(name, content) }
        return ProcessorQuota(root: root.path).processors
    }

    private static let unified = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

    @Test(
        arguments: [
            ("200000 100000\n", 2), ("150000 100000\n", 1.5), ("1000 100000\n", 0.01), ("max 100000\n", nil),
            ("max\n", nil), ("", nil), ("0 100000\n", nil), ("100000 0\n", nil), ("many 100000\n", nil),
            ("99999999999999999999 100000\n", nil),
        ] as [(String, Double?)])
    func theQuotaOfItsOwnGroupCounts(_ content: String, _ expected: Double?) throws {
        let found = try quota([
            "proc/self/cgroup": "0::/user.slice/job\n", "proc/self/mountinfo": Self.unified,
            "sys/fs/cgroup/user.slice/job/cpu.max": content,
        ])
        #expect(found == expected)
    }

    @Test func theLeastOfAllGroupsAboveCounts() throws {
        var files = [
            "proc/self/cgroup": "0::/a/b/c\n", "proc/self/mountinfo": Self.unified,
            "sys/fs/cgroup/a/b/c/cpu.max": "800000 100000\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "300000 100000\n",
        ]
        #expect(try quota(files) == 3)
        files["sys/fs/cgroup/cpu.max"] = "200000 100000\n"
        #expect(try quota(files) == 2)
        // A group beside it is not this process's.
        files["sys/fs/cgroup/a/other/cpu.max"] = "100000 100000\n"
        #expect(try quota(files) == 2)
    }

    @Test func aContainerSeesItsGroupAtTheRoot() throws {
        let limit = "250000 100000\n"
        // With a namespace of its own the process is in "/".
        #expect(
            try quota([
                "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": Self.unified, "sys/fs/cgroup/cpu.max": limit,
            ]) == 2.5)
        // Without one it has the host's path, of which only the end is mounted, or a path that leads out of the mount.
        let mount = "700 690 0:26 /docker/12ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
        for path in ["/docker/12ab", "/docker/12ab/../..", "/../other"] {
            #expect(
                try quota([
                    "proc/self/cgroup": "0::\(path)\n", "proc/self/mountinfo": mount, "sys/fs/cgroup/cpu.max": limit,
                ]) == 2.5, "\(path)")
        }
        #expect(
            try quota([
                "proc/self/cgroup": "0::/docker/12ab/inner\n", "proc/self/mountinfo": mount,
                "sys/fs/cgroup/cpu.max": limit, "sys/fs/cgroup/inner/cpu.max": "50000 100000\n",
            ]) == 0.5)
    }

    @Test func theOldHierarchyIsReadWhereverItIs() throws {
        var files = [
            "proc/self/cgroup": "12:memory:/job\n4:cpu,cpuacct:/slurm/job 7\n1:name=systemd:/x\n0::/x\n",
            "proc/self/mountinfo": """
            33 32 0:29 / /sys/fs/cgroup/memory rw shared:15 - cgroup cgroup rw,memory
            34 32 0:30 / /sys/fs/cgroup/cpu\\040time rw - cgroup cgroup rw,cpu,cpuacct
            """,
            "sys/fs/cgroup/cpu time/slurm/job 7/cpu.cfs_quota_us": "400000\n",
            "sys/fs/cgroup/cpu time/slurm/job 7/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu time/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu time/cpu.cfs_period_us": "100000\n",
        ]
        #expect(try quota(files) == 4)
        files["sys/fs/cgroup/cpu time/slurm/cpu.cfs_quota_us"] = "50000\n"
        #expect(try quota(files) == 4, "a quota without a period")
        files["sys/fs/cgroup/cpu time/slurm/cpu.cfs_period_us"] = "100000\n"
        #expect(try quota(files) == 0.5)
    }

    @Test func withoutSuchFilesThereIsNoLimit() throws {
        #expect(try quota([:]) == nil)
        #expect(try quota(["proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": "nonsense\n- -\n"]) == nil)
    }

    @Test(
        arguments: [
            (128, nil, 128), (128, 8, 8), (128, 2.5, 3), (128, 0.01, 1), (2, 8, 2), (2, 1.9999, 2), (1, nil, 1),
        ] as [(Int, Double?, Int)])
    func partsOfAProcessorAreRoundedUp(_ allowed: Int, _ quota: Double?, _ expected: Int) {
        #expect(AvailableProcessors.count(allowed: allowed, quota: quota) == expected)
    }

    @Test func thereIsAtLeastOne() {
        #expect(AvailableProcessors.count(allowed: 0, quota: nil) >= 1)
        #expect(AvailableProcessors.count >= 1)
    }
}
