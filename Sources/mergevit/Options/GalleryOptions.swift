import ArgumentParser
import Datasets
import Labelling

/// How a file of labels is read.
struct LabelFileOptions: ParsableArguments {
    @Option(
        help: .init(
            "DIR",
            "Folder that relative paths start from (default: the current one; that of LABELS if no file is there)."))
    var root: PathArgument?

    @Option(help: .init("TEXT", "What separates the labels of a cell (default: |)."))
    var labelSeparator: SeparatorArgument?

    /// What separates the labels of a cell.
    var separator: String { labelSeparator?.text ?? MultiLabelImages.usualSeparator }
}

/// Which pictures a gallery shows.
struct GalleryOptions: ParsableArguments {
    @Option(help: .init("N", "Most pictures per class that are shown as the surest, and as the least sure."))
    var perClass = 8

    @Option(help: .init("LIST", "Only these tasks, separated by commas."))
    var tasks: TextArgument?

    @Option(help: .init("S", "Show pictures with a lower score apart."))
    var minScore: FiniteNumber?

    @Option(help: .init("F", "Show pictures with a lower fit (column <task>_fit) apart."))
    var minFit: FractionArgument?

    @OptionGroup var reading: LabelFileOptions

    /// The same for the library.
    var settings: GallerySelection.Settings {
        var settings = GallerySelection.Settings()
        settings.perClass = perClass
        settings.tasks = tasks?.text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        (settings.minimumScore, settings.minimumFit) = (minScore?.value, minFit?.value)
        return settings
    }

    func validate() throws {
        try check("--per-class", perClass, in: 1...1000)
    }
}
