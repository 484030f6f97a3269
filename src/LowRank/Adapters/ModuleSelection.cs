using System.Collections;
using System.Runtime.CompilerServices;

namespace LowRank.Adapters;

/// <summary>Names modules: a list of names, or one text. PEFT reads a text as a regular expression that must match the
/// whole path, and a list entry as a path or the end of a path after a point.</summary>
/// <remarks>A list can be written as one: <c>TargetModules = ["q_proj", "v_proj"]</c>. What is enumerated are its
/// names, none of a text.</remarks>
[CollectionBuilder(typeof(ModuleSelection), nameof(Create))]
public sealed class ModuleSelection : IEnumerable<string>
{
    /// <summary>The text that asks for every linear layer except the output head, in any case of letters.</summary>
    public const string AllLinearText = "all-linear";

    private ModuleSelection(string? text, IReadOnlyList<string>? names)
    {
        Text = text;
        Names = names;
    }

    /// <summary>Every linear layer except the output head.</summary>
    public static ModuleSelection AllLinear { get; } = new(AllLinearText, null);

    /// <summary>The text, when one was given: a regular expression or "all-linear".</summary>
    public string? Text { get; }

    /// <summary>The names, when a list was given, in the file's order. (PEFT holds a set and writes it in an order that
    /// changes from run to run; we keep what we read and sort what we make.)</summary>
    public IReadOnlyList<string>? Names { get; }

    /// <summary>Whether it asks for every linear layer.</summary>
    public bool IsAllLinear => string.Equals(Text, AllLinearText, StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether nothing is named: an empty list or an empty text.</summary>
    public bool IsEmpty => Names is null ? Text!.Length == 0 : Names.Count == 0;

    /// <summary>A list of names.</summary>
    public static ModuleSelection Create(params ReadOnlySpan<string> names) => new(null, [.. names]);

    /// <summary>A regular expression for the whole path, or "all-linear".</summary>
    public static ModuleSelection Pattern(string text) => new(text, null);

    /// <summary>The same names in ordinal order; a text unchanged.</summary>
    public ModuleSelection Sorted() => Names is null ? this : new(null, [.. Names.Order(StringComparer.Ordinal)]);

    /// <inheritdoc/>
    public IEnumerator<string> GetEnumerator() => (Names ?? []).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public override string ToString() => Names is null ? $"\"{Text}\"" : $"[{string.Join(", ", Names)}]";
}

/// <summary>Layer numbers, from 0: one number or a list; PEFT's files keep the two apart.</summary>
/// <remarks>A list can be written as one: <c>LayersToTransform = [0, 1]</c>.</remarks>
[CollectionBuilder(typeof(LayerSelection), nameof(Create))]
public sealed class LayerSelection : IEnumerable<int>
{
    private LayerSelection(IReadOnlyList<int> layers, bool isList)
    {
        Layers = layers;
        IsList = isList;
    }

    /// <summary>The numbers; an empty list selects every layer, as in PEFT.</summary>
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
