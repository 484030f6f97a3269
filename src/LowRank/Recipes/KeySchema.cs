namespace LowRank.Recipes;

/// <summary>What a key of a recipe may hold, as the reader asks for it.</summary>
internal sealed record KeySchema
{
    /// <summary>JSON Schema's type: string, number, integer, boolean, object.</summary>
    public required string Type { get; init; }

    /// <summary>Another type that is read besides; null for none.</summary>
    public string? OtherType { get; init; }

    /// <summary>The texts that are allowed of <see cref="OtherType"/>; null for any.</summary>
    public IReadOnlyList<string>? OtherChoices { get; init; }

    /// <summary>The texts that are allowed; null for any.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>The smallest number; null for none.</summary>
    public double? Least { get; init; }

    /// <summary>Whether the smallest number itself is too small.</summary>
    public bool IsAbove { get; init; }

    /// <summary>The largest number; null for none.</summary>
    public double? Most { get; init; }

    /// <summary>Whether the largest number itself is too large.</summary>
    public bool IsBelow { get; init; }

    /// <summary>Whether a list of such values may stand there too.</summary>
    public bool MayBeList { get; init; }

    /// <summary>What the values of a map are; null for no map.</summary>
    public KeySchema? Values { get; init; }
}
