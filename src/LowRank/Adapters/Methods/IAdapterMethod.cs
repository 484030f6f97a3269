namespace LowRank.Adapters.Methods;

/// <summary>A way to adapt: a value of the recipe's <c>adapter.method</c>. Found by type: adding one edits no list.</summary>
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

    /// <summary>The keys of the recipe's <c>adapter</c> section that have an effect with it; every other one is refused.</summary>
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
    ITrainingRules Rules(Adapter adapter, MethodOptions options) => PlainRules.Instance;
}
