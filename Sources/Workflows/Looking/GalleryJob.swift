import Datasets
package import Files
package import Labelling

/// Chooses the pictures of a gallery from a file that `label` wrote.
package struct GalleryJob {
    /// The file.
    package var labels: BytePath
    /// The folder of its relative paths; nil for the current one, or the file's own if no picture is in that.
    package var root: BytePath?
    /// What is shown.
    package var settings: GallerySelection.Settings
    /// Separates the labels of a cell.
    package var separator = MultiLabelImages.usualSeparator

    /// A job over a file.
    package init(labels: BytePath, settings: GallerySelection.Settings) {
        (self.labels, self.settings) = (labels, settings)
    }

    /// Reads the file.
    ///
    /// - Parameter warn: receives what a user should know.
    /// - Returns: the gallery, whose paths lead to the pictures.
    /// - Throws: `FileError` when the file cannot be used, has no rows, or none of the pictures is there;
    ///   `UnknownTask` for a task that it does not have.
    package func run(warn: (Warning) -> Void) throws -> Gallery {
        var file = try LabelFile(labels, separator: separator)
        var selection = GallerySelection(settings)
        var rows = 0
        while let row = try file.next() {
            try selection.add(row, of: file, path: labels)
            rows += 1
            if rows % 1024 == 0 { try LongWork.report("rows", rows, of: 0) }
        }
        guard rows > 0 else { throw FileError(path: labels, reason: "has no rows") }
        for task in settings.tasks ?? [] { try file.checkTask(task) }
        if let warning = file.cutWarning { warn(warning) }
        if !file.ignoredColumns.isEmpty {
            let columns = file.ignoredColumns.joined(separator: ", ")
            warn("\(labels): columns that label does not write are left out: \(columns)")
        }
        try selection.check(file.tasks, path: labels)
        var gallery = selection.gallery(of: file.tasks)
        var paths: [BytePath] = []
        gallery.forEachGroup { tiles in paths += tiles.map(\.path) }
        let folder = try PictureFolder(of: labels, given: root, pictures: paths)
        if let note = folder.note { warn(note) }
        gallery.forEachGroup { tiles in
            for index in tiles.indices { tiles[index].path = folder.path(tiles[index].path) }
        }
        return gallery
    }
}
