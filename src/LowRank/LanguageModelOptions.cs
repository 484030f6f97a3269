using System.Globalization;
using LowRank.Hub;
using LowRank.Kernels;
using LowRank.Quantization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LowRank;

/// <summary>How a <see cref="LanguageModel"/> is opened.</summary>
public sealed record LanguageModelOptions
{
    private const int MostThreads = 1024;

    /// <summary>Where it computes: cpu, cuda, cuda:N or mps. Default: cpu.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>How the weights of the base's linear layers are kept, one of <see cref="WeightFormats.Names"/>: nf4 and
    /// int8 take an eighth and a quarter of float32's memory. Default: auto, as an adapter needs (LoftQ), else as the
    /// folder stores them.</summary>
    public string BaseDtype { get; init; } = WeightFormats.Auto;

    /// <summary>In which type the products with the base's frozen weights take their inputs, one of
    /// <see cref="Devices.ComputeTypes"/>. bfloat16 is several times as fast where the device has units for it, rounds
    /// these inputs to 8 bits of mantissa, and is refused elsewhere; auto takes it where it is fast. Sums and all that
    /// is trained stay in float32. Default: float32.</summary>
    public string ComputeDtype { get; init; } = ComputeTypes.Float32;

    /// <summary>How the base's output head is kept, one of <see cref="WeightFormats.HeadNames"/>: base keeps it as the
    /// linear layers are, which halves the memory that a token of a small model reads. Default: float32.</summary>
    public string BaseHead { get; init; } = WeightFormats.Float32;

    /// <summary>Whether CUDA multiplies float32 matrices in TF32, with 10 bits of mantissa instead of 23; it counts for
    /// the whole process. Default: false.</summary>
    public bool Tf32 { get; init; }

    /// <summary>Processor threads that it computes with, 1 to 1024; each model has its own number. Default: null, as
    /// many as the environment variable OMP_NUM_THREADS says, else one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>Seed of adaptations whose <see cref="TrainingOptions.Seed"/> is null. Default: 42.</summary>
    public long Seed { get; init; } = new Recipes.TrainingSection().Seed;

    /// <summary>Where the Hugging Face Hub is and where its files are kept. Default: null, as the environment says
    /// (HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE).</summary>
    public HubOptions? Hub { get; init; }

    /// <summary>Hears notes, warnings and the course of training. Default: nobody.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>Refuses what no model can be opened with.</summary>
    /// <exception cref="InputException">All problems at once.</exception>
    internal void Validate()
    {
        OptionProblems problems = new(nameof(LanguageModelOptions));
        problems.RequireText(nameof(Device), Device);
        problems.RequireText(nameof(BaseDtype), BaseDtype);
        problems.RequireText(nameof(ComputeDtype), ComputeDtype);
        problems.RequireText(nameof(BaseHead), BaseHead);
        problems.RequireLeast(nameof(Threads), Threads, 1);
        problems.AddIf(Threads > MostThreads, nameof(Threads), string.Create(CultureInfo.InvariantCulture,
            $"is {Threads}, expected at most {MostThreads}: where so many cannot be started, the process ends."));
        problems.RequireLeast(nameof(Seed), Seed, 0);
        problems.Require(nameof(Logger), Logger);
        problems.ThrowIfAny();
    }
}
