import Files
import TestSupport

extension TemporaryFolder {
    /// The path of an entry.
    subscript(name: String) -> BytePath { BytePath(path).appending(Array(name.utf8)) }

    subscript(name: [UInt8]) -> BytePath { BytePath(path).appending(name) }
}
