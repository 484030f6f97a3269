using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Models.Layers;

namespace LowRank.ExtensionTests;

/// <summary>A family of another program: GPT-2's blocks under names of its own.</summary>
internal sealed class ParrotFamily : DecoderFamily
{
    public override string ModelType => "parrot";

    public override string ClassPrefix => "Parrot";

    public override string EmbeddingPath => "model.words";

    public override string PositionEmbeddingPath => "model.places";

    public override DecoderShape Read(ConfigReader config)
    {
        int hidden = config.Positive("width"), heads = config.Positive("heads"), layers = config.Layers("layers");
        return new DecoderShape
        {
            VocabularySize = config.Positive("vocab_size"),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadDimension = hidden / heads,
            IntermediateSize = 2 * hidden,
            MaxPositions = config.Positive("places"),
            NormEpsilon = 1e-5,
            Activation = "gelu_new",
            TieHead = true,
            Windows = new int?[layers],
        };
    }

    public override IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer)
    {
        string path = $"model.layers.{layer}";
        Linear Layer(string name, int inputs, int outputs) =>
            Linear.Load(weights, $"{path}.{name}", inputs, outputs, bias: false);
        int hidden = shape.HiddenSize;
        return new PreNormBlock(
            new LayerNorm(weights, path + ".hear", hidden, shape.NormEpsilon),
            new SeparateAttention(
                Layer("query", hidden, hidden), Layer("key", hidden, hidden), Layer("value", hidden, hidden),
                Layer("output", hidden, hidden), shape.HeadDimension, shape.Attention(layer)),
            new LayerNorm(weights, path + ".think", hidden, shape.NormEpsilon),
            new PlainFeedForward(
                Layer("up", hidden, shape.IntermediateSize), Layer("down", shape.IntermediateSize, hidden),
                shape.Activation),
            shape.ResidualDropout);
    }

    public override INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new LayerNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);
}
