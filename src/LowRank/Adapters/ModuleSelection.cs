using System.Collections;
using System.Runtime.CompilerServices;

namespace LowRank.Adapters;

/// <summary>A selection of modules: a list of names, or one string. PEFT treats a string as a regular expression that
/// must match the whole path, and a list entry as a path or the end of a path after a dot.</summary>
/// <remarks>A list can be written as a collection: <c>TargetModules = ["q_proj", "v_proj"]</c>. Enumerating yields its
/// names; a string yields none.</remarks>
[CollectionBuilder(typeof(ModuleSelection), nameof(Create))]
public sealed class ModuleSelection : IEnumerable<string>
{
    /// <summary>The string that selects every linear layer except the output head, in upper or lower case.</summary>
    public const string AllLinearText = "all-linear";

    private ModuleSelection(string? text, IReadOnlyList<string>? names)
    {
        Text = text;
        Names = names;
    }

    /// <summary>Every linear layer except the output head.</summary>
    public static ModuleSelection AllLinear { get; } = new(AllLinearText, null);

    /// <summary>The string, if one was given: a regular expression or "all-linear".</summary>
    public string? Text { get; }

    /// <summary>The names, if a list was given, in file order. (PEFT uses a set and writes it in an order that varies
    /// between runs; we preserve what we read and sort what we create.)</summary>
    public IReadOnlyList<string>? Names { get; }

    /// <summary>Whether it selects every linear layer.</summary>
    public bool IsAllLinear => string.Equals(Text, AllLinearText, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether it selects nothing: an empty list or an empty string.</summary>
    public bool IsEmpty => Names is null ? Text!.Length == 0 : Names.Count == 0;

    /// <summary>A list of names.</summary>
    public static ModuleSelection Create(params ReadOnlySpan<string> names) => new(null, [.. names]);

    /// <summary>A regular expression for the whole path, or "all-linear".</summary>
    public static ModuleSelection Pattern(string text) => new(text, null);

    /// <summary>The same names in ordinal order; a string is unchanged.</summary>
    public ModuleSelection Sorted() => Names is null ? this : new(null, [.. Names.Order(StringComparer.Ordinal)]);

    /// <inheritdoc/>
    public IEnumerator<string> GetEnumerator() => (Names ?? []).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => Names is null ? $"\"{Text}\"" : $"[{string.Join(", ", Names)}]";
}

/// <summary>Layer indices, from 0: one number or a list; PEFT's files distinguish the two.</summary>
/// <remarks>A list can be written as a collection: <c>LayersToTransform = [0, 1]</c>.</remarks>
[CollectionBuilder(typeof(LayerSelection), nameof(Create))]
public sealed class LayerSelection : IEnumerable<int>
{
    private LayerSelection(IReadOnlyList<int> layers, bool isList)
    {
        Layers = layers;
        IsList = isList;
    }

    /// <summary>The indices; an empty list selects every layer, as in PEFT.</summary>
    public IReadOnlyList<int> Layers { get; }

    /// <summary>Whether it is written as a list.</summary>
    public bool IsList { get; }

    /// <summary>One layer.</summary>
    public static LayerSelection One(int layer) => new([layer], isList: false);

    /// <summary>A list of layers.</summary>
    public static LayerSelection Create(params ReadOnlySpan<int> layers) => new([.. layers], isList: true);

    /// <inheritdoc/>
    public IEnumerator<int> GetEnumerator() => Layers.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => IsList ? $"[{string.Join(", ", Layers)}]" : $"{Layers[0]}";
}
