namespace LowRank.Adapters;

/// <summary>How A and B begin (<c>init_lora_weights</c>): true, false, or the name of a method.</summary>
public sealed record InitialWeights
{
    private InitialWeights(string name, string? text)
    {
        Name = name;
        Text = text;
    }

    /// <summary>A uniform (Kaiming with a = √5), B zero: the default.</summary>
    public static InitialWeights True { get; } = new("true", null);

    /// <summary>A and B both random, so that the adapter changes the model before any training: for tests.</summary>
    public static InitialWeights False { get; } = new("false", null);

    /// <summary>A normal with standard deviation 1/rank, B zero.</summary>
    public static InitialWeights Gaussian { get; } = Method("gaussian");

    /// <summary>JSON's null, which PEFT takes as <see cref="False"/>.</summary>
    public static InitialWeights Null { get; } = new("null", null);

    /// <summary>"true", "false", "null" or the method's name in lower case.</summary>
    public string Name { get; }

    /// <summary>The name of a method as written; null for true, false and null.</summary>
    public string? Text { get; }

    /// <summary>A method by name, such as "gaussian".</summary>
    public static InitialWeights Method(string name) => new(name.ToLowerInvariant(), name);
}
