import Files
import Labelling

/// The reader of labels, and what a gallery makes of them.
func fuzzLabels(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let file = MemoryFile.path(with: UnsafeRawBufferPointer(start: data, count: count)) else { return 0 }
    do {
        var labels = try LabelFile(BytePath(file))
        var selection = GallerySelection(.init())
        while let row = try labels.next() {
            precondition(row.answers.allSatisfy { labels.tasks.indices.contains($0.task) }, "no such task")
            try selection.add(row, of: labels, path: BytePath(file))
        }
        _ = selection.gallery(of: labels.tasks)
    } catch {}
    return 0
}
