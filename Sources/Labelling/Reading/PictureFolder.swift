package import Files

/// The folder at which the relative paths of a file of labels start.
///
/// That is the current folder, as for `label` itself; or the file's own, if none of the pictures is in the current
/// folder but some are there.
package struct PictureFolder: Sendable, Equatable {
    /// Nil for the current folder.
    package let folder: BytePath?
    /// Says that the paths start at the file's folder.
    package let note: Warning?

    /// Finds the folder.
    ///
    /// - Parameters:
    ///   - given: the folder, if it is known.
    ///   - pictures: some of the pictures, as the file names them.
    ///   - isKnown: whether a path is one of a picture that was there.
    /// - Throws: `FileError` when there are pictures and none of them is a file.
    package init(
        of labels: BytePath, given: BytePath?, pictures: [BytePath],
        isKnown: (BytePath) -> Bool = { _ in false }
    ) throws(FileError) {
        let own = labels.bytes.contains(slash) ? labels.parent : nil
        var candidates: [BytePath?] = [given]
        if given == nil, own != nil { candidates.append(own) }
        let found = candidates.firstIndex { folder in
            pictures.contains { picture in
                let path = Self.path(picture, in: folder)
                return Self.isFile(path) || Self.archive(of: path) != nil || isKnown(path)
            }
        }
        guard found != nil || pictures.isEmpty else {
            let others = pictures.count > 2 ? " and \(pictures.count - 2) more" : ""
            throw FileError(
                path: labels,
                reason: "none of its pictures is there: "
                    + pictures.prefix(2).map(\.description).joined(separator: ", ") + others
                    + (candidates.count > 1 ? "; looked in the current folder and in \(labels.parent)" : ""),
                remedy: LabelFileRemedy.giveRoot)
        }
        folder = candidates[found ?? 0]
        note =
            found == 1 ? "\(labels): its paths are taken from its own folder; none is in the current folder" : nil
    }

    /// The path of a picture.
    package func path(_ picture: BytePath) -> BytePath { Self.path(picture, in: folder) }

    /// The archive that a path leads into, if one of its folders is a file.
    private static func archive(of path: BytePath) -> BytePath? {
        var (folder, count) = (path.parent, path.bytes.count)
        while folder.bytes.count < count, folder.bytes.contains(where: { $0 != slash }) {
            if isFile(folder) { return folder }
            (folder, count) = (folder.parent, folder.bytes.count)
        }
        return nil
    }

    /// Why a picture cannot be used, if it is a member of an archive, which only labelling reads.
    package static func archiveReason(_ path: BytePath) -> String? {
        archive(of: path).map { "it is in the archive \($0); unpack that and label the folder" }
    }

    private static func isFile(_ path: BytePath) -> Bool {
        if case .success(let status) = FileStatus.of(path) { status.isRegular } else { false }
    }

    private static func path(_ picture: BytePath, in folder: BytePath?) -> BytePath {
        picture.bytes.first == slash ? picture : folder?.appending(picture.bytes) ?? picture
    }
}

/// What can be done about a file of labels that cannot be used.
package enum LabelFileRemedy: Remedy {
    /// Give the folder of the relative paths.
    case giveRoot
}
