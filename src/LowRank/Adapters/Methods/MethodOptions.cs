namespace LowRank.Adapters.Methods;

/// <summary>The settings of a method: those given, and the defaults of the others.</summary>
/// <param name="method">The method.</param>
/// <param name="given">Values by name, checked against the method's options.</param>
public sealed class MethodOptions(IAdapterMethod method, IReadOnlyDictionary<string, object?>? given = null)
{
    /// <summary>A whole number.</summary>
    public int Whole(string name) => (int)Value(name)!;

    /// <summary>A number.</summary>
    public double Number(string name) => Convert.ToDouble(Value(name), System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A truth value.</summary>
    public bool Flag(string name) => (bool)Value(name)!;

    /// <summary>A text; null where none is given and there is no default.</summary>
    public string? Text(string name) => (string?)Value(name);

    /// <summary>A list of texts; null where none is given and there is no default.</summary>
    public IReadOnlyList<string>? Texts(string name) => (IReadOnlyList<string>?)Value(name);

    /// <summary>A value, or its default.</summary>
    /// <exception cref="ArgumentException">The method has no such setting.</exception>
    public object? Value(string name)
    {
        MethodOption option = method.Options.FirstOrDefault(option => option.Name == name)
            ?? throw new ArgumentException($"The method {method.Name} has no setting {name}.", nameof(name));
        return given is not null && given.TryGetValue(name, out object? value) ? value : option.Default;
    }
}
