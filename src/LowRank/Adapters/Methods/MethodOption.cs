namespace LowRank.Adapters.Methods;

/// <summary>A setting that one method has for itself.</summary>
/// <param name="Name">Its key below <c>adapter.method_options</c>.</param>
/// <param name="Default">Its default: an <see cref="int"/>, a <see cref="double"/>, a <see cref="bool"/>, a text, a list of texts, or
/// null where <see cref="Type"/> says what it is.</param>
/// <param name="Doc">What it does, for the docs.</param>
public sealed record MethodOption(string Name, object? Default, string Doc)
{
    /// <summary>The type of its value.</summary>
    public Type Type { get; init; } = Default?.GetType() ?? typeof(string);

    /// <summary>The smallest number.</summary>
    public double Least { get; init; }

    /// <summary>The largest number.</summary>
    public double Most { get; init; } = double.PositiveInfinity;

    /// <summary>The texts it may be; null for any.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>Why it has no effect beside the method's other settings, as the end of a sentence that begins with it; null, or a result of null, where it has one.</summary>
    internal Func<MethodOptions, string?>? Unless { get; init; }
}
