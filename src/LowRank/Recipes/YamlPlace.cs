namespace LowRank.Recipes;

/// <summary>Where a value was written: in the recipe's file, or in an override.</summary>
/// <param name="Name">The file, or the override as it was given.</param>
/// <param name="Line">Line in the file from 1; for an override its position among all of them.</param>
/// <param name="Column">Column in the file from 1.</param>
/// <param name="IsOverride">Whether the value came from <c>--set</c>.</param>
internal readonly record struct YamlPlace(string Name, long Line, long Column, bool IsOverride)
{
    /// <summary>What a relative path written here is relative to; null for the recipe's own folder.</summary>
    public string? Folder { get; init; }

    /// <summary>The place as messages give it.</summary>
    public override string ToString() => IsOverride ? $"--set {YamlValue.Short(Name)}" : $"{Name}, line {Line}, column {Column}";
}
