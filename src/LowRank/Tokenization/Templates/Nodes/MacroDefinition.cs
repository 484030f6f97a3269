namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>What a macro or the body of a call block consists of.</summary>
/// <param name="Name">The macro's name.</param>
/// <param name="Parameters">The parameters in order.</param>
/// <param name="Body">The statements.</param>
/// <param name="Names">The names that the body reads: three of them are filled only where they are read.</param>
internal sealed record MacroDefinition(
    string Name,
    IReadOnlyList<MacroParameter> Parameters,
    IReadOnlyList<Statement> Body,
    IReadOnlySet<string> Names)
{
    /// <summary>Whether the macro reads <c>caller</c>, and so may be used in a call block.</summary>
    public bool UsesCaller => Names.Contains("caller");

    /// <summary>Whether the macro reads <c>kwargs</c>, and so takes any named argument.</summary>
    public bool UsesNamedRest => Names.Contains("kwargs") && Parameters.All(parameter => parameter.Name != "kwargs");

    /// <summary>Whether the macro reads <c>varargs</c>, and so takes any number of arguments.</summary>
    public bool UsesPositionalRest => Names.Contains("varargs") && Parameters.All(parameter => parameter.Name != "varargs");
}
