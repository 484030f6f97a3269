using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Models;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.Cli.Bench;

/// <summary>The folder of the measured model: an existing one, or a temporary one with random weights for a shape. A
/// benchmark can thus open its model like every command.</summary>
internal sealed class BenchFolder : IDisposable
{
    private readonly string? temporary;

    private BenchFolder(string folder, string? temporary) => (Path, this.temporary) = (folder, temporary);

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Whether its weights are random, and the folder is temporary.</summary>
    public bool IsDrawn => temporary is not null;

    /// <summary>Uses an existing folder, or writes one for a shape.</summary>
    /// <param name="shape">A name of <see cref="ModelShapes"/>, or a model folder.</param>
    /// <param name="dropout">The model's own dropout, for a folder that is written.</param>
    /// <param name="layers">Number of layers, for a folder that is written; null for the shape's own.</param>
    /// <exception cref="InputException">The argument is neither a shape nor a model folder, or dropout or layers were
    /// given for a folder, which has its own.</exception>
    public static BenchFolder Open(string shape, double dropout = 0, int? layers = null)
    {
        if (!File.Exists(System.IO.Path.Combine(shape, "config.json")))
            return Draw(ModelShapes.Config(shape, dropout, layers), shape);
        string[] problems = [.. new[]
        {
            dropout == 0 ? null : $"--dropout is {dropout}",
            layers is null ? null : $"--layers is {layers}",
        }.OfType<string>()];
        return problems.Length == 0 ? new BenchFolder(shape, null) : throw new InputException(
            $"{string.Join(" and ", problems)}, but {shape} is a model folder, whose config.json sets that. Leave it " +
            "out, or name a shape.");
    }

    /// <summary>Writes a temporary folder with a shape's <c>config.json</c> alone.</summary>
    /// <exception cref="InputException">The shape is unknown.</exception>
    public static BenchFolder OfConfig(string shape, double dropout = 0, int? layers = null)
    {
        string config = ModelShapes.Config(shape, dropout, layers).ToJsonString();
        string root = Directory.CreateTempSubdirectory("lowrank-bench-").FullName;
        File.WriteAllText(System.IO.Path.Combine(root, "config.json"), config);
        return new BenchFolder(root, root);
    }

    /// <summary>Writes a temporary folder with random weights.</summary>
    /// <param name="config">The content of its <c>config.json</c>.</param>
    /// <param name="name">The folder's name.</param>
    public static BenchFolder Draw(JsonObject config, string name)
    {
        string root = Directory.CreateTempSubdirectory("lowrank-bench-").FullName;
        string draft = System.IO.Path.Combine(root, "config"), folder = System.IO.Path.Combine(root, name);
        Directory.CreateDirectory(draft);
        File.WriteAllText(System.IO.Path.Combine(draft, "config.json"), config.ToJsonString());
        // Frees the memory used to draw the weights, so the model is measured as if its folder had already existed.
        NativeAllocator.MapLargeBlocks();
        using (var scope = torch.NewDisposeScope())
        using (PretrainedModel drawn = PretrainedModel.FromScratch(draft, seed: 1))
            ModelFolder.Write(draft, folder, [.. drawn.Network.Parameters]);
        NativeAllocator.KeepFreedMemory();
        return new BenchFolder(folder, root);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (temporary is not null) Directory.Delete(temporary, recursive: true);
    }
}

/// <summary>The adapted modules that a benchmark's options name.</summary>
internal static class BenchTargets
{
    /// <summary>Selects modules by name: "all-linear" for all, no names for the model type's default.</summary>
    public static ModuleSelection? Select(IReadOnlyList<string> names) => names switch
    {
        [] => null,
        [ModuleSelection.AllLinearText] => ModuleSelection.AllLinear,
        _ => [.. names],
    };
}
