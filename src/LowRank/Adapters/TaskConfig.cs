using System.Text.Json.Nodes;
using LowRank.Models;

namespace LowRank.Adapters;

/// <summary>Writes into a config.json what transformers' classes need to find a task's head again.</summary>
public static class TaskConfig
{
    /// <summary>Sets <c>architectures</c> and, where the task says them, <c>problem_type</c>, <c>id2label</c> and <c>label2id</c>.</summary>
    /// <param name="config">The file's keys.</param>
    /// <param name="network">The model with its head.</param>
    /// <param name="task">What it was trained for; null for a language model.</param>
    public static void Describe(JsonObject config, INetwork network, AdapterTask? task)
    {
        config["architectures"] = new JsonArray(network.Family.ClassName(network.HeadKind));
        if (task is null) return;
        if (task.Problem is { } problem) config["problem_type"] = problem;
        IReadOnlyList<string> labels = task.Labels ?? (task.Problem == "regression" ? ["LABEL_0"] : []);
        if (labels.Count == 0) return;
        config["id2label"] = new JsonObject(labels.Select((label, id) => KeyValuePair.Create(id.ToString(), (JsonNode?)label)));
        config["label2id"] = new JsonObject(labels.Select((label, id) => KeyValuePair.Create(label, (JsonNode?)id)));
    }
}
