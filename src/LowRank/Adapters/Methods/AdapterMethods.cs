namespace LowRank.Adapters;

/// <summary>All ways to adapt: those of this library in one list, and those that a program registers.</summary>
public static class AdapterMethods
{
    /// <summary>The settings that choose modules, as recipes name them.</summary>
    public static IReadOnlyList<string> TargetKeys { get; } =
        ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"];

    /// <summary>The settings that every low-rank pair has.</summary>
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

/// <summary>A way to adapt: which adapter is made, how it begins and what its training does besides; listed in
/// <see cref="AdapterMethods"/>.</summary>
/// <remarks>A record with its own settings as properties: <c>new EvaMethod { Examples = 128 }</c>.</remarks>
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

    /// <summary>The settings of <see cref="AdapterConfig"/> and LoRA that have an effect with it, by the names that
    /// recipes have for them; every other one is refused.</summary>
    IReadOnlyList<string> Keys { get; }

    /// <summary>Its own settings.</summary>
    IReadOnlyList<MethodOption> Options => [];

    /// <summary>The rank of an adapter for which none is given: its config's own.</summary>
    int DefaultRank => new LoraConfig().Rank;

    /// <summary>The alpha of an adapter for which none is given: its config's own.</summary>
    double DefaultAlpha => new LoraConfig().Alpha.Value;

    /// <summary>The learning rate of a training for which none is given.</summary>
    double DefaultLearningRate => 2e-4;

    /// <summary>How many examples it looks at before training; 0 for none.</summary>
    int CalibrationExamples => 0;

    /// <summary>The adapter's config.</summary>
    /// <param name="shared">What is given besides the method's own settings: rank, alpha, modules, as LoRA has them; a
    /// method takes of it the keys that it has (<see cref="Keys"/>).</param>
    AdapterConfig Configure(LoraConfig shared);

    /// <summary>What training does besides.</summary>
    ITrainingHooks Hooks(Adapter adapter) => NoTrainingHooks.Instance;

    /// <summary>The method with some of its own settings given.</summary>
    /// <param name="given">Values by the options' names; what is left out keeps its value.</param>
    /// <exception cref="ArgumentException">The method has no such option.</exception>
    IAdapterMethod With(IReadOnlyDictionary<string, object?> given) =>
        given.Aggregate(this, (method, value) => method.Option(value.Key).Set(method, value.Value));

    /// <summary>An option by its name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    MethodOption Option(string name) => Options.FirstOrDefault(option => option.Name == name)
        ?? throw new ArgumentException($"The method {Name} has no setting {name}.", nameof(name));
}

/// <summary>A setting that one method has for itself, as it is given by name.</summary>
/// <remarks>The method is a record; the option is one of its properties, or one of its config's. So each default stands
/// in one place.</remarks>
public sealed record MethodOption
{
    private readonly Func<object?> defaultValue;

    private MethodOption(string name, string doc, Type type, Func<object?> defaultValue,
        Func<IAdapterMethod, object?> get, Func<IAdapterMethod, object?, IAdapterMethod> set)
    {
        (Name, Doc, Type, this.defaultValue) = (name, doc, type, defaultValue);
        (Get, Set) = (get, set);
    }

    /// <summary>Its key below <c>method_options</c>.</summary>
    public string Name { get; }

    /// <summary>What it does, for the docs.</summary>
    public string Doc { get; }

    /// <summary>The type of its value: <see cref="int"/>, <see cref="double"/>, <see cref="bool"/>, text or list of
    /// texts.</summary>
    public Type Type { get; }

    /// <summary>Its default: a value of <see cref="Type"/>, or null.</summary>
    public object? Default => defaultValue();

    /// <summary>The smallest number.</summary>
    public double Least { get; init; }

    /// <summary>The largest number.</summary>
    public double Most { get; init; } = double.PositiveInfinity;

    /// <summary>The texts it may be; null for any.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>Why it has no effect beside the method's other settings, as the end of a sentence that begins with it;
    /// null, or a result of null, where it has one.</summary>
    public Func<IAdapterMethod, string?>? Unless { get; init; }

    /// <summary>Its value in a method.</summary>
    internal Func<IAdapterMethod, object?> Get { get; }

    /// <summary>A method with another value of it.</summary>
    internal Func<IAdapterMethod, object?, IAdapterMethod> Set { get; }

    /// <summary>An option.</summary>
    /// <typeparam name="TMethod">The method.</typeparam>
    /// <typeparam name="TValue">One of the types of <see cref="Type"/>.</typeparam>
    /// <param name="name">Its key below <c>method_options</c>.</param>
    /// <param name="get">Its value in a method; in a new one it is the default.</param>
    /// <param name="set">A method with another value of it.</param>
    /// <param name="doc">What it does, for the docs.</param>
    public static MethodOption Create<TMethod, TValue>(
        string name, Func<TMethod, TValue> get, Func<TMethod, TValue, TMethod> set, string doc)
        where TMethod : class, IAdapterMethod, new() =>
        new(name, doc, typeof(TValue), () => get(new TMethod()), method => get((TMethod)method),
            (method, value) => set((TMethod)method, Converted<TValue>(value)));

    // A whole number given for a number is one.
    private static TValue Converted<TValue>(object? value) => value switch
    {
        TValue same => same,
        null => default!,
        _ => (TValue)Convert.ChangeType(value, typeof(TValue), System.Globalization.CultureInfo.InvariantCulture),
    };
}
