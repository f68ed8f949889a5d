import Adapters
import Evaluation
package import Files
import Glibc
import Tensors
import VisionTransformers

/// The folder of a report, which appears whole or not at all.
package final class ReportFolder: Sendable {
    /// All that a report's folder can hold.
    private static let names: Set = [
        "metrics.json", "metrics.csv", "predictions.csv", "disagreements.csv", "report.html",
    ]
    private let folder: AtomicFolder

    /// Begins a report at `path`.
    ///
    /// - Throws: `ModelError` when something exists there that may not, or is not to be, replaced, or the disk refuses.
    package init(_ path: String, replaces: Bool) throws {
        if replaces { try ReportFolder.checkIsReport(path) }
        folder = try AtomicFolder(path, replaces: replaces, marker: "metrics.json", kind: "a report")
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

    /// A folder is replaced only if it holds nothing but what an earlier report has.
    private static func checkIsReport(_ path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        let metrics = path + "/metrics.json"
        let format = try? JSON(contentsOf: metrics).objectValue?["format"]?.stringValue
        guard format == EvaluationResult.format || format == Comparison.format else {
            throw ModelError(path, "already exists and is not a report; it is not replaced")
        }
        if let name = try SmallFiles.names(in: path).first(where: { !names.contains($0) }) {
            throw ModelError(path, "holds \"\(name)\", which a report does not; it is not replaced")
        }
    }
}
