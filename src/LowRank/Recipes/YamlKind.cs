namespace LowRank.Recipes;

/// <summary>The three shapes of YAML.</summary>
internal enum YamlKind
{
    /// <summary>A text, a number, true, false or null.</summary>
    Scalar,

    /// <summary>A list.</summary>
    List,

    /// <summary>Keys with values.</summary>
    Map,
}
