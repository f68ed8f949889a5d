import Foundation
import Glibc
import TestSupport
import Testing

@testable import Files

@Suite struct OutputFileTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, to output: OutputFile) throws {
        try Array(text.utf8).withUnsafeBytes { bytes in try output.write(bytes) }
    }

    @Test func theFileAppearsWhenItIsWhole() throws {
        let output = try OutputFile.replacing(folder["out.csv"])
        try write("half", to: output)
        #expect(try folder.entries() == [".out.csv.partial-\(getpid())"])
        try write(", whole", to: output)
        try output.commit()
        #expect(try folder.entries() == ["out.csv"])
        #expect(folder.content("out.csv") == "half, whole")
        #expect(!output.discard())
        #expect(try folder.entries() == ["out.csv"])
    }

    @Test func failureLeavesTheOldFileAndNoOther() throws {
        try folder.write("out.csv", "old")
        chmod(folder["out.csv"].description, 0o640)
        let output = try OutputFile.replacing(folder["out.csv"])
        try write("new", to: output)
        #expect(output.discard())
        #expect(throws: OutputError.self) { try output.commit() }
        #expect(try folder.entries() == ["out.csv"])
        #expect(folder.content("out.csv") == "old")
        do { _ = try OutputFile.replacing(folder["out.csv"]) }
        #expect(try folder.entries() == ["out.csv"])
        let next = try OutputFile.replacing(folder["out.csv"])
        try write("new", to: next)
        try next.commit()
        #expect(folder.content("out.csv") == "new")
        guard case .success(let status) = FileStatus.of(folder["out.csv"]) else { throw SystemError(code: errno) }
        #expect(status.mode & 0o7777 == 0o640)
    }

    @Test func aPartialFileOfADeadProcessIsNotInTheWay() throws {
        try folder.write(".out.csv.partial-\(getpid())", "left")
        let output = try OutputFile.replacing(folder["out.csv"])
        try write("new", to: output)
        try output.commit()
        #expect(try folder.entries() == ["out.csv"])
        #expect(folder.content("out.csv") == "new")
    }

    @Test func namesOfAnyLengthAndBytesWork() throws {
        let long = String(repeating: "n", count: 255)
        try OutputFile.replacing(folder[long]).commit()
        #expect(try folder.entries() == [long])
        let name: [UInt8] = [0xFF, 0x0A, 0x22]
        try OutputFile.replacing(folder[name]).commit()
        #expect(folder[name].withCString { access($0, F_OK) } == 0)
    }

    @Test func aLinkStaysALink() throws {
        try folder.write("data/real.csv", "old")
        try folder.link("out.csv", to: "data/real.csv")
        let output = try OutputFile.replacing(folder["out.csv"])
        try write("new", to: output)
        try output.commit()
        #expect(folder.content("data/real.csv") == "new")
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(folder["out.csv"])") == "data/real.csv")
    }

    @Test func whatCannotBeWrittenIsRefusedByName() throws {
        try folder.link("dangling", to: "gone/x")
        for (path, reason) in [
            (BytePath(folder.path), "Is a directory"), (folder["no/such/out.csv"], "No such file or directory"),
            (folder["dangling"], "a link that leads nowhere"), (BytePath(""), "not the name of a file"),
            (folder["new/"], "No such file or directory"),
        ] {
            #expect(throws: OutputError.cannotWrite(path: path, reason: reason)) { try OutputFile.replacing(path) }
        }
        #expect(try folder.entries() == ["dangling"])
    }

    @Test func devicesAreWrittenInPlace() throws {
        let output = try OutputFile.replacing(BytePath("/dev/null"))
        try write("x", to: output)
        try output.commit()
        guard case .success(let status) = FileStatus.of(BytePath("/dev/null")) else { throw SystemError(code: errno) }
        #expect(!status.isRegular)
        let full = try OutputFile.replacing(BytePath("/dev/full"))
        #expect(throws: OutputError.cannotWrite(path: BytePath("/dev/full"), reason: "No space left on device")) {
            try write("x", to: full)
        }
    }

    @Test func aPipeWithoutAReaderIsTold() throws {
        signal(SIGPIPE, SIG_IGN)
        try folder.fifo("pipe")
        let reader = folder["pipe"].withCString { open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        let output = try OutputFile.replacing(folder["pipe"])
        try write("x", to: output)
        close(reader)
        #expect(throws: OutputError.closed) { try write("y", to: output) }
    }
}
