package import Datasets

/// Everything that a source lists: paths, and reasons after a "!".
package func listed(_ source: InputSource, below folder: TemporaryFolder? = nil) throws -> [String] {
    let lister = try InputLister(source)
    var path: [UInt8] = []
    var all: [String] = []
    while let input = try lister.next(into: &path, waiting: { _ in true }) {
        var text = String(decoding: path, as: UTF8.self)
        if let folder { text.replace("\(folder.path)/", with: "") }
        if case .unreadable(let reason) = input { text += " ! \(reason)" }
        all.append(text)
    }
    return all
}
