using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Models.Families;
using LowRank.Models.Layers;
using LowRank.Models.Sentences;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Onnx;

/// <summary>An encoder with its head as a graph of ONNX's operators: token ids and a mask of any batch size and length
/// to scores, or to states and sentence vectors.</summary>
internal sealed class OnnxEncoder
{
    private const string Batch = "batch_size", Sequence = "sequence_length";
    private const double Hidden = -1e30; // finite: padding that sees no token stays a number

    private readonly OnnxGraph graph = new();
    private readonly OnnxLayers layers;
    private readonly Encoder model;
    private readonly EncoderShape shape;
    private readonly string tokens;
    private readonly string mask;
    private readonly string indices; // 0, 1, 2, …, [sequence]

    private OnnxEncoder(Encoder model, IReadOnlyDictionary<string, LazyWeight> weights)
    {
        (this.model, shape, layers) = (model, model.Shape, new OnnxLayers(graph, model, weights));
        tokens = graph.Input("input_ids", ScalarType.Int64, Batch, Sequence);
        mask = graph.Input("attention_mask", ScalarType.Int64, Batch, Sequence);
        string length = graph.Node("Gather", [graph.Node("Shape", [tokens]), graph.Long(1)]);
        indices = graph.Node("Range", [graph.Long(0), length, graph.Long(1)]);
    }

    /// <summary>The values of <c>model_type</c> that can be written.</summary>
    public static IReadOnlyList<string> Known { get; } = ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"];

    /// <summary>Refuses models that no graph can be built of.</summary>
    /// <exception cref="InputException">The model is no encoder of a known family, or its rotary positions depend on
    /// what a graph does not know.</exception>
    public static void Require(PretrainedModel model)
    {
        if (model.Network is not Encoder encoder || !Known.Contains(encoder.Family.ModelType))
            throw new InputException(
                $"{model.Folder} is a {model.Config.ModelType} model, and ONNX files are made of encoders alone: " +
                $"{string.Join(", ", Known)}. Write the merged model as a folder, or as a GGUF file.");
        if (new[] { encoder.Shape.Rope, encoder.Shape.LocalRope }.Any(
            rope => RotaryEmbedding.FreeLength(rope) < encoder.Shape.MaxPositions))
            throw new InputException(
                $"{model.Folder}: its rotary positions depend on the longest text of a batch, which a graph does not " +
                "know. Write the merged model as a folder.");
    }

    /// <summary>Builds the graph.</summary>
    /// <param name="model">The model with its head, which <see cref="Require"/> has let pass.</param>
    /// <param name="weights">Its weights by checkpoint name, each read when the file is written.</param>
    /// <param name="sentence">How states become a sentence's vector; null for states alone.</param>
    /// <exception cref="InputException">A sentence's vector depends on its prompt.</exception>
    public static OnnxGraph Build(
        PretrainedModel model, IReadOnlyDictionary<string, LazyWeight> weights, SentencePipeline? sentence)
    {
        if (sentence is { IncludesPrompt: false, Prompts.Count: > 0 })
            throw new InputException(
                $"{model.Folder}: its vectors leave out the tokens of a prompt (include_prompt is false), which a " +
                "graph cannot tell from the text's. Write the merged model as a folder.");
        return new OnnxEncoder((Encoder)model.Network, weights).Whole(sentence);
    }

    private OnnxGraph Whole(SentencePipeline? sentence)
    {
        string states = Embedded();
        Linear[] all = [.. model.LinearLayers];
        for (int layer = 0; layer < shape.Layers; layer++)
            states = model.Family is ModernBert ? ModernBlock(states, all.AsSpan(4 * layer, 4), layer)
                : PostNormBlock(states, all.AsSpan(6 * layer, 6), layer);
        if (model.Family is ModernBert) states = layers.Norm(states, "model.final_norm", shape.NormEpsilon);
        var pooling = new OnnxPooling(graph, states, mask, indices);
        if (model.Head is { } head)
        {
            if (head.Kind == HeadKind.SequenceClassification) states = pooling.OfClassifier(shape.Pooling);
            AddScores(head, HeadScores(head, states));
            return graph;
        }
        graph.Output("last_hidden_state", states, Batch, Sequence, shape.HiddenSize);
        if (sentence is not null)
            graph.Output("sentence_embedding", pooling.OfSentence(sentence), Batch, sentence.OutputWidth);
        return graph;
    }

    private string Embedded()
    {
        EncoderFamily family = model.Family;
        string hidden = layers.Rows(family.EmbeddingPath, tokens);
        // With a single text type, as in RoBERTa, both texts of a pair use it.
        if (shape.TokenTypes > 0)
            hidden = graph.Node("Add", [hidden, shape.TokenTypes == 1 ? layers.FirstRow(family.TypeEmbeddingPath)
                : layers.Rows(family.TypeEmbeddingPath,
                    graph.Input("token_type_ids", ScalarType.Int64, Batch, Sequence))]);
        if (shape.PositionRows > 0)
            hidden = graph.Node("Add", [hidden, layers.Rows(family.PositionEmbeddingPath, Positions())]);
        return layers.Norm(hidden, family.EmbeddingNormPath, shape.NormEpsilon);
    }

    private string Positions()
    {
        if (shape.PositionPadding is not { } padding) return indices;
        string isToken = graph.Node("Not", [graph.Node("Equal", [tokens, graph.Long(padding)])]);
        string counted = graph.Node("Cast", [isToken], ("to", OnnxType.Long));
        string places = graph.Node("Mul", [graph.Node("CumSum", [counted, graph.Long(1)]), counted]);
        return graph.Node("Add", [places, graph.Long(padding)]);
    }

    private string PostNormBlock(string input, ReadOnlySpan<Linear> linear, int layer)
    {
        (string attentionNorm, string feedForwardNorm) = model.Family is DistilBert
            ? ($"distilbert.transformer.layer.{layer}.sa_layer_norm",
                $"distilbert.transformer.layer.{layer}.output_layer_norm")
            : ($"{model.Family.BasePrefix}encoder.layer.{layer}.attention.output.LayerNorm",
                $"{model.Family.BasePrefix}encoder.layer.{layer}.output.LayerNorm");
        string mixed = Attend(
            Heads(layers.Linear(input, linear[0])), Heads(layers.Linear(input, linear[1])),
            Heads(layers.Linear(input, linear[2])), layer);
        string hidden = layers.Norm(
            graph.Node("Add", [input, layers.Linear(mixed, linear[3])]), attentionNorm, shape.NormEpsilon);
        string wide = graph.Activation(shape.Activation, layers.Linear(hidden, linear[4]));
        return layers.Norm(
            graph.Node("Add", [hidden, layers.Linear(wide, linear[5])]), feedForwardNorm, shape.NormEpsilon);
    }

    private string ModernBlock(string input, ReadOnlySpan<Linear> linear, int layer)
    {
        string path = $"model.layers.{layer}";
        // The embedding is already normalised, so the first layer has no norm.
        string normed = layer == 0 ? input : layers.Norm(input, path + ".attn_norm", shape.NormEpsilon);
        string fused = graph.Node("Transpose",
            [graph.Node("Reshape",
                [layers.Linear(normed, linear[0]), graph.Longs(0, 0, 3, shape.Heads, shape.HeadDimension)])],
            ("perm", (long[])[2, 0, 3, 1, 4]));
        string[] parts = [.. graph.Nodes("Split", [fused], 3, ("axis", 0L), ("num_outputs", 3L))
            .Select(part => graph.Node("Squeeze", [part, graph.Longs(0)]))];
        RopeSettings rope = shape.Attention(layer).UsesLocalRope ? shape.LocalRope! : shape.Rope!;
        string mixed = Attend(Rotated(parts[0], rope), Rotated(parts[1], rope), parts[2], layer);
        string hidden = graph.Node("Add", [input, layers.Linear(mixed, linear[1])]);
        string[] halves = graph.Nodes(
            "Split", [layers.Linear(layers.Norm(hidden, path + ".mlp_norm", shape.NormEpsilon), linear[2])], 2,
            ("axis", -1L), ("num_outputs", 2L));
        string wide = graph.Node("Mul", [graph.Activation(shape.Activation, halves[0]), halves[1]]);
        return graph.Node("Add", [hidden, layers.Linear(wide, linear[3])]);
    }

    // [batch, sequence, heads · dimension] to [batch, heads, sequence, dimension]
    private string Heads(string projected) => graph.Node("Transpose",
        [graph.Node("Reshape", [projected, graph.Longs(0, 0, shape.Heads, shape.HeadDimension)])],
        ("perm", (long[])[0, 2, 1, 3]));

    private string Attend(string query, string key, string value, int layer)
    {
        string scaled = graph.Node("Mul", [query, graph.Float(1 / Math.Sqrt(shape.HeadDimension))]);
        string scores = graph.Node(
            "MatMul", [scaled, graph.Node("Transpose", [key], ("perm", (long[])[0, 1, 3, 2]))]);
        string weights = graph.Node(
            "Softmax", [graph.Node("Add", [scores, Bias(shape.Windows[layer])])], ("axis", -1L));
        string mixed = graph.Node(
            "Transpose", [graph.Node("MatMul", [weights, value])], ("perm", (long[])[0, 2, 1, 3]));
        return graph.Node("Reshape", [mixed, graph.Longs(0, 0, shape.HiddenSize)]);
    }

    // Added to scores: 0 where a token is seen. [batch, 1, 1, sequence], or [batch, 1, sequence, sequence] in a window.
    private string Bias(int? window) => graph.Once($"bias {window}", () =>
    {
        string seen = graph.Node("Unsqueeze",
            [graph.Node("Cast", [mask], ("to", OnnxType.Boolean)), graph.Longs(1, 2)]);
        if (window is { } size)
        {
            string distance = graph.Node(
                "Abs", [graph.Node("Sub", [indices, graph.Node("Unsqueeze", [indices, graph.Longs(1)])])]);
            seen = graph.Node("And", [seen, graph.Node("Less", [distance, graph.Long(size)])]);
        }
        return graph.Node("Where", [seen, graph.Float(0), graph.Float(Hidden)]);
    });

    // Rotates the pairs (i, i + dimension / 2) of each head by their angles.
    private string Rotated(string heads, RopeSettings rope)
    {
        string name = rope == shape.Rope ? "rope" : "local_rope";
        string angles = graph.Once(name, () => graph.Node("Mul",
            [graph.Node("Unsqueeze", [graph.Node("Cast", [indices], ("to", OnnxType.Float)), graph.Longs(1)]),
                graph.Weight(name + ".inv_freq", [rope.Dimension / 2],
                    () => RotaryEmbedding.InverseFrequencies(rope))]));
        double scaling = RotaryEmbedding.AttentionScaling(rope);
        string Factor(string function) => graph.Once(name + function, () =>
        {
            string factor = graph.Node(function, [angles]);
            return scaling == 1 ? factor : graph.Node("Mul", [factor, graph.Float(scaling)]);
        });
        string[] half = graph.Nodes("Split", [heads], 2, ("axis", -1L), ("num_outputs", 2L));
        string Product(int part, string function) => graph.Node("Mul", [half[part], Factor(function)]);
        return graph.Node("Concat",
            [graph.Node("Sub", [Product(0, "Cos"), Product(1, "Sin")]),
                graph.Node("Add", [Product(1, "Cos"), Product(0, "Sin")])], ("axis", -1L));
    }

    private string HeadScores(Head head, string states)
    {
        if (head.Layers is [var dense, _])
        {
            // What each family has between a head's two layers.
            (string function, string? norm) = (model.Family, head.Kind) switch
            {
                (ModernBert, _) => (shape.HeadActivation, "head.norm"),
                (DistilBert, HeadKind.LanguageModel) => (shape.Activation, "vocab_layer_norm"),
                (DistilBert, _) => ("relu", null),
                (Bert, HeadKind.LanguageModel) => (shape.Activation, "cls.predictions.transform.LayerNorm"),
                (_, HeadKind.LanguageModel) => ("gelu", "lm_head.layer_norm"),
                _ => ("tanh", (string?)null),
            };
            states = graph.Activation(function, layers.Linear(states, dense));
            if (norm is not null) states = layers.Norm(states, norm, shape.NormEpsilon);
        }
        return layers.Linear(states, head.Output);
    }

    private void AddScores(Head head, string scores)
    {
        switch (head.Kind)
        {
            case HeadKind.SequenceClassification:
                graph.Output("logits", scores, Batch, head.Output.OutputSize);
                break;
            case HeadKind.QuestionAnswering:
                foreach ((long place, string name) in new[] { (0L, "start_logits"), (1L, "end_logits") })
                    graph.Output(
                        name, graph.Node("Gather", [scores, graph.Long(place)], ("axis", -1L)), Batch, Sequence);
                break;
            default:
                graph.Output("logits", scores, Batch, Sequence, head.Output.OutputSize);
                break;
        }
    }
}
