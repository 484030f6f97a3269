using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>What a test says about a value.</summary>
internal delegate bool TestFunction(Renderer renderer, object value, Arguments arguments);
