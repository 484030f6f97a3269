namespace LowRank.Adapters.Methods;

/// <summary>All kinds of adapter files, found by their type: adding one edits no list.</summary>
internal static class AdapterKinds
{
    private static readonly Dictionary<string, IAdapterKind> Kinds = typeof(AdapterKinds).Assembly.GetTypes()
        .Where(type => typeof(IAdapterKind).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IAdapterKind)Activator.CreateInstance(type)!)
        .ToDictionary(kind => kind.PeftType);

    /// <summary>The supported values of <c>peft_type</c>, sorted.</summary>
    public static IReadOnlyList<string> PeftTypes => [.. Kinds.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The kind of a <c>peft_type</c>; null where it is not supported.</summary>
    public static IAdapterKind? Find(string peftType) => Kinds.GetValueOrDefault(peftType);

    /// <summary>The kind of a config that was read or made here.</summary>
    public static IAdapterKind Of(LoraConfig config) => Find(config.PeftType)
        ?? throw new InputException($"peft_type: found \"{config.PeftType}\", supported: {string.Join(", ", PeftTypes)}.");
}
