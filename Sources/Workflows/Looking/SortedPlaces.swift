import Files
import Glibc

/// The pictures in the class folders, by their names, which no two pictures share.
final class SortedPlaces {
    private let folder: BytePath
    private lazy var placeByName = index()
    /// The hidden files of the folders that were looked at.
    private var partials: [BytePath: [[UInt8]]] = [:]

    init(_ folder: BytePath) { self.folder = folder }

    /// Where a picture is: at its place, or in another class folder.
    func find(_ place: BytePath) -> BytePath? {
        let own = folder.appending(place.bytes)
        if FilePlacing.isThere(own) { return own }
        return placeByName[place.lastComponent].flatMap { FilePlacing.isThere($0) ? $0 : nil }
    }

    /// The names of all pictures.
    var names: some Sequence<[UInt8]> { placeByName.keys }

    /// Removes what a killed process has left of a copy.
    func removePartials(beside place: BytePath) {
        let start = OutputPlace.hidden(beside: BytePath(place.lastComponent), adding: ".partial-").bytes
        let parent = place.parent
        if partials[parent] == nil {
            partials[parent] = ((try? names(in: parent)) ?? []).filter { $0.first == UInt8(ascii: ".") }
        }
        for name in partials[parent] ?? [] where name.starts(with: start) {
            _ = parent.appending(name).withCString { unlink($0) }
        }
    }

    private func index() -> [[UInt8]: BytePath] {
        var found: [[UInt8]: BytePath] = [:]
        for name in (try? names(in: folder)) ?? [] {
            let path = folder.appending(name)
            guard case .success(let status) = FileStatus.of(path), status.isFolder else { continue }
            for file in (try? names(in: path)) ?? [] { found[file] = path.appending(file) }
        }
        return found
    }

    private func names(in folder: BytePath) throws -> [[UInt8]] {
        guard let listing = folder.withCString({ opendir($0) }) else { throw SystemError(code: errno) }
        defer { closedir(listing) }
        var names: [[UInt8]] = []
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { names.append(name) }
        }
        return names
    }
}
