import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling

/// Files that hang, and inputs that are not what they seem.
@Suite struct HangTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test func aWorkerThatHangsIsGivenUpWithItsSlot() throws {
        let ring = PrefetchRing(slots: 2, valuesPerImage: 3, timeout: 0.05)
        let slot = try #require(ring.nextFree())
        slot.path = Array("slow".utf8)
        ring.claim(slot)
        slot.activity.touch()
        var givenUp = 0
        let taken = try #require(try ring.take(images: 1, unless: { false }, abandoned: { givenUp += 1 }))
        #expect(givenUp == 1 && taken.count == 1)
        #expect(
            taken[0] !== slot && taken[0].path == slot.path && taken[0].failure?.reason.contains("too long") == true)
        // What the worker does in the end is of no consequence.
        #expect(!ring.finish(slot))
        ring.release(1)
        let next = try #require(ring.nextFree())
        ring.claim(next)
        #expect(ring.finish(next))
        #expect(try ring.take(images: 1, unless: { false }, abandoned: { givenUp += 1 })?.count == 1)
        #expect(givenUp == 1)
    }

    @Test func slowWorkOnAFileThatWasReadIsNotGivenUp() throws {
        let ring = PrefetchRing(slots: 2, valuesPerImage: 3, timeout: 0.01)
        let slot = try #require(ring.nextFree())
        ring.claim(slot)
        slot.activity.touch()
        slot.activity.end()
        usleep(30_000)
        var questions = 0
        let taken = try ring.take(
            images: 1,
            unless: {
                questions += 1
                return questions > 2
            }, abandoned: { Issue.record("given up") })
        #expect(taken == nil && !ring.isDrained)
    }

    @Test func whenTooManyHangTheRunEnds() throws {
        let ring = PrefetchRing(slots: 80, valuesPerImage: 1, timeout: 0.01)
        for _ in 0..<80 {
            let slot = try #require(ring.nextFree())
            ring.claim(slot)
            slot.activity.touch()
        }
        usleep(20_000)
        var (givenUp, rows) = (0, 0)
        let error = #expect(throws: LabellingError.self) {
            while let slots = try ring.take(images: 4, unless: { false }, abandoned: { givenUp += 1 }) {
                rows += slots.count
                ring.release(slots.count)
            }
        }
        #expect(error?.description.contains("took too long") == true)
        #expect(rows == 80 && givenUp == 80)
    }

    /// Everything that a folder can hold has one row, or is left out by a rule.
    @Test func everyKindOfEntryHasItsRow() throws {
        try folder.write("f/good", "1")
        try folder.fifo("f/fifo")
        try folder.link("f/loop", to: ".")
        try folder.link("f/self", to: "self")
        try folder.link("f/device", to: "/dev/zero")
        try folder.write("f/deep/file", "2")
        try folder.link("f/deep/up", to: "../..")
        let socketPath = folder["f/socket"]
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.bytes.prefix($0.count - 1)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        let output = try OutputFile.replacing(folder["rows"])
        let classifier = FakeClassifier()
        let result = try LabellingPipeline(
            preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 2, threads: 2)
        ).run(
            InputSource(paths: [folder["f"]]), rows: RowWriter(tasks: classifier.tasks, options: RowOptions()),
            output: output)
        try output.commit()
        let rows = try #require(folder.content("rows")).split(separator: "\n").dropFirst().map { line in
            line.replacing("\(folder.path)/f/", with: "").split(separator: ",").prefix(2).joined(separator: ",")
        }
        #expect(
            rows == [
                "deep/file,ok", "device,error: not a regular file", "fifo,error: not a regular file", "good,ok",
                "self,error: Too many levels of symbolic links", "socket,error: not a regular file",
            ])
        #expect(result.loops == 2)
    }

    @Test func pathsAsLongAsTheSystemAllowsAreRead() throws {
        // Below the system's limit of 4096 bytes, and above it.
        let part = String(repeating: "d", count: 200)
        var path = Array(folder.path.utf8)
        let start = path
        while path.count < 3750 {
            path += [slash] + Array(part.utf8)
            try #require(BytePath(path).withCString { mkdir($0, 0o700) } == 0)
        }
        let file = path + [slash] + Array(repeating: UInt8(ascii: "f"), count: 4000 - path.count - 1)
        let descriptor = BytePath(file).withCString { open($0, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600) }
        try #require(descriptor >= 0)
        _ = write(descriptor, "7", 1)
        close(descriptor)
        var reader = FileReader(limit: 10)
        var content: [UInt8] = []
        try reader.read(BytePath(file)) { content = Array($0) }
        #expect(content == [UInt8(ascii: "7")] && file.count == 4000)
        let lister = try InputLister(InputSource(paths: [BytePath(start)]))
        var found: [UInt8] = []
        #expect(try lister.next(into: &found, waiting: { _ in true }) == .file)
        #expect(found == file)
        let tooLong = BytePath(start + Array(repeating: UInt8(ascii: "x"), count: 5000))
        #expect { try reader.read(tooLong) { _ in } } throws: { "\($0)" == "File name too long" }
    }

    @Test func aFolderOfManyFilesIsListedInOrder() throws {
        let target = BytePath(try folder.write("f/0000000", "1"))
        for index in 1..<20_000 {
            let name = folder["f/" + String(repeating: "0", count: 7 - String(index).count) + String(index)]
            try #require(target.withCString { from in name.withCString { to in link(from, to) } } == 0)
        }
        let lister = try InputLister(InputSource(paths: [folder["f"]]))
        var (path, last, count) = ([UInt8](), [UInt8](), 0)
        while try lister.next(into: &path, waiting: { _ in true }) != nil {
            #expect(last.lexicographicallyPrecedes(path))
            last = path
            count += 1
        }
        #expect(count == 20_000)
    }
}
