import Compute
import Files
import Foundation
import Glibc
import Tensors
import TestSupport
import Testing

@testable import VisionTransformers

/// Packed weights that are damaged, hostile or cannot be written are in nobody's way.
@Suite struct PackedFaultTests {
    @Test func aFileThatIsCutIsReplaced() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let whole = try scene.bytes()
        for count in [0, 7, 8, 100, 4095, 4096, whole.count / 2, whole.count - 64, whole.count - 1] {
            try scene.overwrite(scene.file(), Array(whole[..<count]))
            #expect(try !scene.isUsed(), "\(count) of \(whole.count) bytes")
            #expect(try scene.bytes() == whole)
        }
        #expect(try scene.isUsed())
    }

    @Test func aFlippedBitIsFound() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let whole = try scene.bytes()
        var generator = SplitMix64(seed: 7, name: "bits")
        for place in [8, 60, 4096, whole.count - 1] + (0..<40).map({ _ in Int(generator.next() % UInt64(whole.count)) })
        {
            var changed = whole
            changed[place] ^= 1 << UInt8(generator.next() % 8)
            try scene.overwrite(scene.file(), changed)
            let plan = try scene.plan()
            #expect(!plan.isMapped, "byte \(place)")
        }
        #expect(try scene.isUsed() && scene.bytes() == whole)
    }

    /// Zeros where the last pages should be: a file that a power failure has torn.
    @Test func pagesThatNeverReachedTheDiskAreFound() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let whole = try scene.bytes()
        for start in [4096, whole.count / 8192 * 4096] {
            let torn = whole[..<start] + [UInt8](repeating: 0, count: whole.count - start)
            try scene.overwrite(scene.file(), Array(torn))
            #expect(try !scene.isUsed())
        }
        #expect(try scene.isUsed())
    }

    /// A whole file with the right key whose buffers are not those that the kernels want.
    @Test func buffersOfOtherSizesAreRefused() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let name = scene.files[0]
        let file = try SafetensorsFile(path: scene.file())
        let key = try #require(PackedFile.key(of: file))
        let pool = try WorkerPool(workers: 1)
        let kept = try #require(PackedFile.read(file.path, key, pool) { _ in true })
        let folder = PackedFolder(parent: scene.scratch.path)
        for (changed, buffer) in kept.buffers {
            for count in [0, buffer.count + 1] {
                var weights = kept
                weights.add(changed, FloatBuffer([Float](repeating: 0, count: count)))
                #expect(folder.write(PackedFile(weights, key), as: name))
                #expect(PackedFile.read(file.path, key, pool) { _ in true } != nil)
                #expect(try !scene.isUsed(), "\(changed): \(count)")
            }
            let fewer = PackedWeights(kept.buffers.filter { $0.key != changed })
            #expect(folder.write(PackedFile(fewer, key), as: name))
            #expect(try !scene.isUsed(), "\(changed)")
        }
    }

    @Test func aStrangersFileIsNotRead() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let file = try SafetensorsFile(path: scene.file())
        let key = try #require(PackedFile.key(of: file))
        let pool = try WorkerPool(workers: 1)
        #expect(PackedFile.read(file.path, key, pool) { $0.owner != geteuid() } == nil)
        #expect(PackedFile.read(file.path, .init(model: key.model, plan: ""), pool) { _ in true } == nil)
        #expect(PackedFile.read(file.path, .init(model: "", plan: key.plan), pool) { _ in true } == nil)
    }

    /// Whatever exists where packed weights would be written stays as it is, and the model answers.
    @Test(arguments: ["file", "link", "dangling", "link to a file", "pipe", "folder", "second name"])
    func whatStandsInTheWayStays(_ kind: String) throws {
        let scene = try PackedScene()
        let expected = try scene.logits(scene.plan())
        let name = scene.files[0]
        try FileManager.default.removeItem(atPath: scene.folder)
        let (elsewhere, victim) = (try TemporaryFolder(), "precious")
        try elsewhere.write("victim", victim)
        let target = "\(elsewhere.path)/victim"
        let partial = "\(scene.folder)/\(name)\(PackedFolder.partialEnding)"
        switch kind {
        case "file": try scene.scratch.write(PackedCache.folderName, victim)
        case "link": try #require(symlink(elsewhere.path, scene.folder) == 0)
        case "dangling": try #require(symlink("\(elsewhere.path)/none", scene.folder) == 0)
        default:
            try #require(mkdir(scene.folder, 0o755) == 0)
            switch kind {
            case "link to a file": try #require(symlink(target, partial) == 0)
            case "pipe": try #require(mkfifo(partial, 0o644) == 0)
            case "folder": try #require(mkdir(partial, 0o755) == 0)
            default: try #require(link(target, partial) == 0)
            }
        }
        let plan = try scene.plan()
        #expect(try !plan.isMapped && scene.logits(plan) == expected)
        #expect(try !scene.isUsed())
        #expect(try String(contentsOfFile: target, encoding: .utf8) == victim)
        #expect(try FileManager.default.contentsOfDirectory(atPath: elsewhere.path) == ["victim"])
    }

    /// What a killed run has left is written over; while another process writes, nobody else does.
    @Test func onlyOneWritesAtATime() throws {
        let scene = try PackedScene()
        #expect(try !scene.isUsed())
        let path = try scene.file()
        let whole = try scene.bytes()
        let partial = path + PackedFolder.partialEnding
        #expect(rename(path, partial) == 0)
        let descriptor = open(partial, O_WRONLY)
        try #require(descriptor >= 0 && flock(descriptor, LOCK_EX) == 0 && write(descriptor, "torn", 4) == 4)
        #expect(try !scene.isUsed())
        #expect(scene.files == [URL(fileURLWithPath: partial).lastPathComponent])
        close(descriptor)
        #expect(try !scene.isUsed())
        #expect(try scene.bytes() == whole)
        #expect(try scene.isUsed())
    }

    @Test func manyAtOnceAgree() throws {
        let scene = try PackedScene()
        let expected = try scene.logits(scene.plan(isCached: false))
        let answers = FloatBuffer(count: 24 * expected.count)
        DispatchQueue.concurrentPerform(iterations: 24) { index in
            guard let found = try? scene.logits(scene.plan()) else { return }
            for (place, value) in found.enumerated() { answers.base[index * expected.count + place] = value }
        }
        for index in 0..<24 {
            #expect(Array(answers.elements[index * expected.count..<(index + 1) * expected.count]) == expected)
        }
        #expect(try scene.isUsed() && scene.files.count == 1)
    }
}

/// On file systems of networks nothing is mapped for long.
@Suite struct FileSystemTests {
    @Test func networksAreKnownByTheirTypes() {
        let lines = [
            ("36 35 0:44 / /mnt/data rw,noatime shared:1 master:2 - nfs4 server:/data rw,vers=4.2", UInt64(44)),
            ("37 35 0:45 / /mnt/with\\040space rw - fuse.sshfs host: rw", UInt64(45)),
            ("38 35 0:46 / /mnt/share rw - cifs //server/share rw", UInt64(46)),
            ("43 35 259:300 / /lustre rw - lustre mds:/ rw", UInt64(259 << 8 | 1 << 20 | 44)),
            ("39 35 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", nil),
            ("40 35 0:5 / /nfs rw - tmpfs nfs rw", nil),
            ("41 35 0:nfs / /nfs rw - nfs4", nil), ("42 35 0:7 / / rw -", nil), ("", nil), ("- nfs", nil),
        ]
        for (line, device) in lines { #expect(FileSystems.networkDevice(line) == device, "\(line)") }
    }
}
