namespace LowRank.Adapters.Methods;

/// <summary>All ways to adapt: those of this library in one list, and those that a program registers.</summary>
public static class AdapterMethods
{
    /// <summary>The keys of a recipe's <c>adapter</c> section that choose modules.</summary>
    public static IReadOnlyList<string> TargetKeys { get; } =
        ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"];

    /// <summary>The keys that every low-rank pair has.</summary>
    public static IReadOnlyList<string> PairKeys { get; } =
        [.. TargetKeys, "rank", "alpha", "dropout", "bias", "use_rslora", "rank_pattern", "alpha_pattern",
            "ensure_weight_tying", "trainable_token_indices", "new_tokens"];

    private static readonly Registry<IAdapterMethod> Methods = new("adapter method", method => method.Name,
    [
        new AdaLoraMethod(), new BitFitMethod(), new CordaMethod(), new DoraMethod(), new EvaMethod(), new Ia3Method(),
        new LoftQMethod(), new LoHaMethod(), new LoKrMethod(), new LoraFaMethod(), new LoraGaMethod(),
        new LoraMethod(), new LoraPlusMethod(), new OloraMethod(), new OrthogonalMethod(), new PissaMethod(),
        new PrefixTuningMethod(), new PromptTuningMethod(), new RsLoraMethod(), new VeraMethod(),
    ], "full"); // training without an adapter

    /// <summary>Their names, sorted.</summary>
    public static IReadOnlyList<string> Names => Methods.Names;

    /// <summary>All methods, sorted by name.</summary>
    public static IReadOnlyList<IAdapterMethod> All => Methods.All;

    /// <summary>Adds a method of your own; from any thread, before the first recipe is read.</summary>
    /// <exception cref="ArgumentException">Its name is taken; methods are not replaced.</exception>
    public static void Register(IAdapterMethod method) => Methods.Register(method);

    /// <summary>The method of a name.</summary>
    /// <exception cref="InputException">There is none; the message lists those that are.</exception>
    public static IAdapterMethod Get(string name) => Methods.Find(name)
        ?? throw new InputException($"There is no adapter method \"{name}\"; there are {string.Join(", ", Names)}.");
}

/// <summary>A way to adapt: a value of the recipe's <c>adapter.method</c>, listed in
/// <see cref="AdapterMethods"/>.</summary>
public interface IAdapterMethod
{
    /// <summary>The value of <c>adapter.method</c>.</summary>
    string Name { get; }

    /// <summary>Its name as its authors write it.</summary>
    string Title { get; }

    /// <summary>Where it comes from, such as "arXiv 2106.09685".</summary>
    string Paper { get; }

    /// <summary>What it is, in a sentence for the docs.</summary>
    string Summary { get; }

    /// <summary>The keys of the recipe's <c>adapter</c> section that have an effect with it; every other one is
    /// refused.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Its own settings, below <c>adapter.method_options</c>.</summary>
    IReadOnlyList<MethodOption> Options => [];

    /// <summary>The rank of a recipe that names none.</summary>
    int DefaultRank => 8;

    /// <summary>The alpha of a recipe that names none.</summary>
    double DefaultAlpha => 16;

    /// <summary>The learning rate of a recipe that names none.</summary>
    double DefaultLearningRate => 2e-4;

    /// <summary>How many examples it looks at before training; 0 for none.</summary>
    int CalibrationExamples(MethodOptions options) => 0;

    /// <summary>The adapter's config.</summary>
    /// <param name="shared">What the recipe's <c>adapter</c> section says.</param>
    /// <param name="options">The method's own settings.</param>
    LoraConfig Configure(LoraConfig shared, MethodOptions options);

    /// <summary>What training does besides.</summary>
    ITrainingHooks Rules(Adapter adapter, MethodOptions options) => NoTrainingHooks.Instance;
}

/// <summary>A setting that one method has for itself.</summary>
/// <param name="Name">Its key below <c>adapter.method_options</c>.</param>
/// <param name="Default">Its default: an <see cref="int"/>, a <see cref="double"/>, a <see cref="bool"/>, a text, a
/// list of texts, or null where <see cref="Type"/> says what it is.</param>
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

    /// <summary>Why it has no effect beside the method's other settings, as the end of a sentence that begins with it;
    /// null, or a result of null, where it has one.</summary>
    internal Func<MethodOptions, string?>? Unless { get; init; }
}

/// <summary>The settings of a method: those given, and the defaults of the others.</summary>
/// <param name="method">The method.</param>
/// <param name="given">Values by name, checked against the method's options.</param>
public sealed class MethodOptions(IAdapterMethod method, IReadOnlyDictionary<string, object?>? given = null)
{
    /// <summary>A whole number.</summary>
    public int Whole(string name) => (int)Value(name)!;

    /// <summary>A number.</summary>
    public double Number(string name) =>
        Convert.ToDouble(Value(name), System.Globalization.CultureInfo.InvariantCulture);

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
