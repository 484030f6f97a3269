using LowRank.Models;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>A model's summary, for people and for programs.</summary>
internal static class ModelView
{
    public static IRenderable Table(ModelSummary model)
    {
        Grid grid = new Grid().AddColumns(2);
        grid.AddRow("model type", Markup.Escape(model.ModelType ?? "unknown (no config.json)"));
        grid.AddRow("parameters", $"{model.Parameters:n0}");
        grid.AddRow("layers", model.Layers is { } layers ? $"{layers}" : "unknown");
        grid.AddRow("dtype",
            Markup.Escape(model.DataTypes.Count == 1 ? model.DataTypes[0].Key
            : string.Join(", ", model.DataTypes.Select(type => $"{type.Key} ({type.Value:n0})"))));
        grid.AddRow("bytes", $"{model.Bytes:n0}");
        grid.AddRow("tensors", $"{model.Tensors} in {model.Files} {(model.Files == 1 ? "file" : "files")}");
        return grid;
    }

    public static object Json(ModelSummary model) => new
    {
        kind = "model",
        model_type = model.ModelType,
        parameters = model.Parameters,
        layers = model.Layers,
        dtype = model.DataTypes.Count > 0 ? model.DataTypes[0].Key : null,
        dtypes = model.DataTypes.ToDictionary(type => type.Key, type => type.Value),
        bytes = model.Bytes,
        tensors = model.Tensors,
        files = model.Files,
    };
}
