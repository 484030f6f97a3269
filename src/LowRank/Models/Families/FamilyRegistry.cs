namespace LowRank.Models.Families;

/// <summary>All families of this library, found by their type: adding one edits no list.</summary>
public static class FamilyRegistry
{
    private static readonly Dictionary<string, IModelFamily> Families = typeof(FamilyRegistry).Assembly.GetTypes()
        .Where(type => typeof(IModelFamily).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IModelFamily)Activator.CreateInstance(type)!)
        .ToDictionary(family => family.ModelType);

    /// <summary>The supported values of <c>model_type</c>, sorted.</summary>
    public static IReadOnlyList<string> ModelTypes => [.. Families.Keys.Order(StringComparer.Ordinal)];

    /// <summary>All families, sorted by <c>model_type</c>.</summary>
    public static IReadOnlyList<IModelFamily> All => [.. ModelTypes.Select(type => Families[type])];

    /// <summary>The family of a <c>model_type</c>.</summary>
    /// <exception cref="InputException">It is not supported; the message lists those that are.</exception>
    public static IModelFamily Get(string modelType) => Families.TryGetValue(modelType, out IModelFamily? family)
        ? family
        : throw new InputException($"model_type \"{modelType}\" is not supported; supported: {string.Join(", ", ModelTypes)}.");
}
