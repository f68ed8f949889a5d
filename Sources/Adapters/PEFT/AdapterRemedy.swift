import Files
package import Images
package import VisionTransformers

/// What can be done about an adapter, or a model made of adapters, that cannot be used as it is.
package enum AdapterRemedy: Remedy {
    /// Say which activation the head has, for example this one.
    case nameActivation(HeadActivation)
    /// Give the right activation of the head, if the one that was found is wrong.
    case correctActivation
    /// Resize images as the adapter's training did.
    case resize(ResizeBackend)
    /// Give the names of the classes.
    case giveClassNames
    /// Use the adapter although it was trained over another base.
    case allowOtherBase
    /// Give the task's head, which is in the file at the path.
    case giveHead(task: String, path: String)
    /// Give the file with the head that the adapter was saved without.
    case giveSavedHead
    /// Merge over this base, together with the adapters that were merged over it.
    case mergeOver(base: String, adapters: [Source])
    /// Merge again, and leave the heads as they were trained.
    case mergeWithoutAlignment
    /// Give images of the task, to align its head on.
    case giveImages
    /// Add the adapters to this bundle, which has streams.
    case addToBundle(String)
    /// Merge all adapters into a bundle with streams.
    case mergeWithStreams
    /// Remove the task of this name from a bundle, or give the new one another name.
    case removeTask(String, bundle: String)
    /// Quantize the bundle again after its tasks have changed.
    case quantizeChanged
    /// Give the folder in which the base of the merge is now.
    case giveMergedBase
    /// Merge these adapters together.
    case mergeTogether(base: String, adapters: [Source], method: String, scale: Double)

    /// An adapter of a recipe.
    package struct Source: Hashable, Sendable {
        package let name: String
        package let path: String
    }
}
