import Evaluation
package import Files
import Glibc

/// The folder of a report, which appears whole or not at all.
package final class ReportFolder: Sendable {
    private static let kind = FolderKind(
        "a report", marker: "metrics.json",
        contents: .init(files: {
            ["metrics.json", "metrics.csv", "predictions.csv", "disagreements.csv", "report.html"].contains($0)
        }))

    private let folder: AtomicFolder

    /// Begins a report at `path`.
    ///
    /// - Throws: `OutputError.exists`, `FileError` when something exists there that is not, or may not be, replaced, or
    ///   the system refuses.
    package init(_ path: String, replaces: Bool) throws {
        if replaces { try ReportFolder.checkIsReport(path) }
        folder = try AtomicFolder(path, Self.kind, replaces: replaces)
    }

    /// Opens one of its files for rows that come one by one.
    package func open(_ name: String) throws -> OutputFile { try OutputFile.replacing(BytePath(folder.path(name))) }

    /// Writes one of its files.
    package func write(_ name: String, _ text: String) throws { try folder.write(name, text) }

    /// Writes one of its files.
    package func write(_ name: String, bytes: [UInt8]) throws { try folder.write(name, bytes: bytes) }

    /// Gives the folder its name.
    package func commit() throws { try folder.commit() }

    /// Removes what is unfinished; whether there was something. Safe to call from any thread.
    @discardableResult
    package func discard() -> Bool { folder.discard() }

    /// Checks that `metrics.json` is a report's: other programs write files of that name, too.
    private static func checkIsReport(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        let metrics = path + "/metrics.json"
        let format = try? JSON(contentsOf: metrics).objectValue?["format"]?.stringValue
        guard format == EvaluationResult.format || format == Comparison.format else {
            throw FileError(path: path, reason: "already exists and is not a report; it is not replaced")
        }
    }
}
