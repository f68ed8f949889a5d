import Datasets
package import Files
import Glibc

/// Moves pictures back to where they were before they were sorted.
package struct SortUndo {
    /// The log, or the folder that it is in.
    package let path: BytePath

    /// A job over a log.
    package init(_ path: BytePath) { self.path = path }

    /// What came of it.
    package struct Outcome {
        /// The pictures that are back.
        package internal(set) var restored = 0
        package internal(set) var failures: [(path: BytePath, reason: String)] = []
        /// The folder that they were in.
        package internal(set) var folder = BytePath("")
    }

    /// Moves all pictures back, also those that a person has moved to another class folder. If all are back, the log
    /// and the folders that are empty then are removed. Nothing is overwritten, and the same job resumes it.
    ///
    /// - Throws: `FileError` when the log cannot be used, or nothing was moved.
    package func run() throws -> Outcome {
        let log = try SortLog(existing: path)
        guard log.mode == .move else {
            throw FileError(
                path: log.path, reason: "the pictures were \(log.mode.verb), not moved; to undo that, remove the folder"
            )
        }
        var outcome = Outcome()
        outcome.folder = log.folder
        let places = SortedPlaces(log.folder)
        for (index, entry) in log.entries.reversed().enumerated() where !entry.hasFailed {
            if index % 256 == 0 { try LongWork.report("pictures", index, of: log.entries.count) }
            places.removePartials(beside: entry.source)
            if let reason = restore(entry, places) {
                outcome.failures.append((entry.source, reason))
            } else {
                outcome.restored += 1
            }
        }
        guard outcome.failures.isEmpty else { return outcome }
        _ = log.folder.appending(Array(ClassFolders.fileName.utf8)).withCString { unlink($0) }
        log.remove()
        for folder in Set(log.entries.map(\.place.parent)) {
            _ = log.folder.appending(folder.bytes).withCString { rmdir($0) }
        }
        _ = log.folder.withCString { rmdir($0) }
        return outcome
    }

    /// Moves a picture back; the reason if it cannot.
    private func restore(_ entry: SortLog.Entry, _ places: SortedPlaces) -> String? {
        guard let place = places.find(entry.place) else {
            return FilePlacing.isThere(entry.source) ? nil : "is not in the class folders any more"
        }
        if FilePlacing.isThere(entry.source) {
            // What a crash has left, or another file.
            return SortJob.settle(place, entry.source, removesEmpty: false)
        }
        return move(place, entry.source)
    }

    private func move(_ place: BytePath, _ source: BytePath) -> String? {
        makeFolders(source.parent)
        return FilePlacing.move(place, to: source).map { "cannot be moved back from \(place): \(systemReason($0))" }
    }

    /// Makes the folders that a picture was in, if they are gone.
    private func makeFolders(_ path: BytePath) {
        guard !FilePlacing.isThere(path), path.bytes.count > 1 else { return }
        makeFolders(path.parent)
        _ = path.withCString { mkdir($0, 0o777) }
    }
}
