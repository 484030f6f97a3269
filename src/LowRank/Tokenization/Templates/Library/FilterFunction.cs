using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>What a filter or a method does with a value.</summary>
internal delegate object FilterFunction(Renderer renderer, object value, Arguments arguments);
